"""Start and stop the embedded AWS.

`ministack` runs as a child process that listens on 127.0.0.1 only, speaks TLS with a certificate made for
it alone, checks signatures and enforces IAM. It keeps everything in memory: what was deployed ends with it.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from local.emulator.certificates import ServerCertificate, make_certificates
from local.errors import LocalError

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

STATE = Path(os.environ.get("GDPR_STATE") or ROOT / ".local")
"""Where everything that a run leaves behind goes; git ignores it. GDPR_STATE names another folder."""

ACCOUNT = "111122223333"
"""The one AWS account. To the emulator an access key of twelve digits is the root of that account."""

CONCURRENCY = 1_000
"""Lambda's default quota of concurrent executions; by itself the emulator goes by the machine's memory."""

_FUNCTION_RUNTIME = Path(__file__).resolve().parent / "function_runtime"
_START_SECONDS = 60

ROOM = 300 * 1024 * 1024
"""Bytes of temporary files that it may need: `make demo` has 150 MB of them, most of it unpacked packages."""


class Emulator:
    """One running emulator; use it as a context manager.

    Attributes:
        url: endpoint of every service, such as `https://127.0.0.1:41234`.
        inner_url: the same without TLS; for the emulator itself, and to see that policies refuse it.
        authority: file with the certificate that clients have to trust.
        log: file with its own output; it stays when the emulator goes, everything else is temporary.
        trail: file with every decision of the policy evaluator as JSON lines, or None when not recorded.
    """

    def __init__(
        self,
        *,
        record_trail: bool = False,
        name: str = "emulator",
        waits: float = 1,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Nothing runs before `start`; `name` tells the log files of several emulators apart.

        `waits` is what part of its time a state machine waits, in its Wait states and before it tries a step
        again: 0.1 is a tenth. The definitions stay as they are, the emulator's engine just waits less.
        `concurrency` is the account's quota of functions that are at work at once, in all regions together
        (on AWS it is one a region).
        """
        self.url = self.inner_url = ""
        self.authority = Path()
        self.log = STATE / f"{name}.log"
        self.trail: Path | None = None
        self._record_trail = record_trail
        self._waits = waits
        self._concurrency = concurrency
        self._process: subprocess.Popen[bytes] | None = None
        self._session = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="test")
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def attached(cls, url: str, authority: Path) -> Self:
        """One that another process has started and will end; `stop` leaves it alone."""
        emulator = cls()
        emulator.url, emulator.authority = url, authority
        return emulator

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises LocalError, with the end of its log, when it does not, and where there is too little room for
        its temporary files.
        """
        _check_room()
        STATE.mkdir(mode=0o700, exist_ok=True)
        port, inner_port = _free_ports(2)
        self.url = f"https://127.0.0.1:{port}"
        self.inner_url = f"http://127.0.0.1:{inner_port}"
        self._directory = tempfile.TemporaryDirectory(prefix="gdpr-emulator-", ignore_cleanup_errors=True)
        directory = Path(self._directory.name)
        self.authority = directory / "authority.pem"
        server = make_certificates(directory, self.authority)
        if self._record_trail:
            self.trail = directory / "trail.jsonl"
            self.trail.touch()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator.process"],
                cwd=ROOT,
                env=self._environment(inner_port, self._directory.name, server),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_healthy()
        return self

    def stop(self) -> None:
        """End it together with every worker process; safe to call at any time, also twice."""
        process, self._process = self._process, None
        if process is not None:
            # There is nothing to save: the whole process group goes at once.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin:
                process.stdin.close()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    @property
    def folder(self) -> Path:
        """Where to put what has to end with it: nobody else can read there, and it goes when it goes."""
        return self.authority.parent

    @property
    def pid(self) -> int:
        """Id of its process and of its workers' process group; 0 when it is not running."""
        return self._process.pid if self._process else 0

    def wait(self) -> int:
        """Block until the emulator's process ends; its exit code."""
        return self._process.wait() if self._process else 0

    def client(self, service: str, region: str) -> Any:
        """A boto3 client with the rights of the account's root, for deployment and for searching.

        Typed Any: the deployer asks for services by name, and botocore checks every parameter by itself.
        """
        with self._lock:  # a session makes one client at a time; clients themselves may be shared
            key = (service, region)
            if key not in self._clients:
                session: Any = self._session
                self._clients[key] = session.client(
                    service,
                    region_name=region,
                    endpoint_url=self.url,
                    verify=str(self.authority),
                    config=client_config(),
                )
            return self._clients[key]

    def decisions(self) -> Iterator[dict[str, Any]]:
        """What the policy evaluator decided so far: principal, action, resource, region, allowed.

        Raises LocalError when the trail is not recorded.
        """
        if self.trail is None:
            raise LocalError("this emulator records no trail: start it with record_trail=True")
        with self.trail.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def _environment(self, inner_port: int, directory: str, server: ServerCertificate) -> dict[str, str]:
        # Nothing else of the caller's environment: an AWS_ACCESS_KEY_ID there would be taken as root's.
        # It starts in half the time with bytecode, which is written and looked for where the caller's is.
        kept = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
        environment = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "HOME": directory,
            "TMPDIR": directory,
            # It fetches its own token keys over plain HTTP on this port, so that it needs one besides TLS.
            "GATEWAY_PORT": str(inner_port),
            "AWS_ENDPOINT_URL": self.url,  # for the functions' own clients
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(server.certificate),
            "MINISTACK_SSL_KEY": str(server.key),
            "AWS_CA_BUNDLE": str(self.authority),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "PYTHONPATH": str(_FUNCTION_RUNTIME),
            # A worker process that a burst left behind goes after a minute.
            "LAMBDA_WARM_TTL_SECONDS": "60",
            "SFN_WAIT_SCALE": str(self._waits),
            "LAMBDA_ACCOUNT_CONCURRENCY": str(self._concurrency),
            "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        }
        if self.trail:
            environment["GDPR_TRAIL"] = str(self.trail)
        return environment

    def _wait_until_healthy(self) -> None:
        process = self._process
        trust = ssl.create_default_context(cafile=str(self.authority))
        deadline = time.monotonic() + _START_SECONDS
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2, context=trust):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise LocalError(f"the emulator did not start; the end of {self.log} says:\n{tail}")


def _check_room() -> None:
    """Raise LocalError where temporary files have no room: functions would fail later, and not say why."""
    fix = f"make room, or set TMPDIR to a folder that has {ROOM // 1024**2} MiB"
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        raise LocalError(f"no folder takes temporary files (TMPDIR, /tmp): {fix}") from None
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise LocalError(f"{folder} has only {free // 1024**2} MiB left for temporary files: {fix}")


def client_config() -> Config:
    """Settings of every client of the emulator: path-style buckets, few retries, many connections."""
    return Config(
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=60,
    )


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
