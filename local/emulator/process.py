"""Entry point of the emulator's own process: `python -m local.emulator.process`.

Adds seven things to the emulator:

* it ends, with every worker process and temporary file it made, when the process that started it is gone,
  however that went: the parent holds the other end of our standard input;
* a presigned URL is judged in the region that it was signed for; by itself the emulator takes its default
  region for the policies, so that a policy which refuses other regions refuses every presigned URL;
* a call about the tags of a table is judged by that table, which it names by ARN; by itself the emulator
  takes it for a call about everything, so that a policy which names the table refuses it;
* two calls that get credentials at the same moment both get them; by itself the emulator looks through its
  sessions for expired ones without a lock, and fails one of the two when the other adds its own meanwhile;
* a package is unpacked once, and all functions and processes that run it read the same files; by itself the
  emulator unpacks it for every process, which for Arrow are 120 MB each time;
* a step of a state machine for which Lambda has no room fails under AWS's name for that; by itself the
  emulator calls it Lambda.Unknown, which retriers take for a failure of the function;
* with GDPR_TRAIL set to a file, every decision of its policy evaluator is written there, one JSON
  object a line. The emulator's own CloudTrail log names neither the role nor the exact IAM action (a
  session shows as an access key, ListObjectVersions as ListObjects, a transaction as itself), so it
  cannot tell which permissions a role used. The evaluator is asked for every signed request and knows
  both.
"""

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import resource
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit


def _end_with_parent() -> None:
    while os.read(0, 1024):  # nothing is ever written: this returns when the parent has gone
        pass
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)  # the parent's own clean-up may not have run
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _record_decisions(trail: Path) -> None:
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]  # ships no type information
    from ministack.core.responses import get_account_id  # type: ignore[import-untyped]  # the same

    enforce: Callable[..., Any] = iam_evaluator.enforce
    lock = threading.Lock()
    lines = trail.open("a", buffering=1, encoding="utf-8")

    @functools.wraps(enforce)
    def recorded(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        **context: Any,
    ) -> Any:
        refusal = enforce(access_key_id, iam_action, service, region, resource_arn=resource_arn, **context)
        principal = iam_evaluator.resolve_principal(access_key_id or "", get_account_id())
        if getattr(principal, "policies", None) is None:  # the account's root, or nobody at all
            return refusal
        event = {
            "principal": principal.arn,
            "action": iam_action,
            "resource": resource_arn,
            "region": region,
            "allowed": refusal is None,
        }
        with lock:
            lines.write(json.dumps(event) + "\n")
        return refusal

    iam_evaluator.enforce = recorded


def _judge_presigned_urls_in_their_region() -> None:
    from ministack import app  # type: ignore[import-untyped]  # ships no type information
    from ministack.core.responses import get_region

    extract_region: Callable[..., str] = app.extract_region

    @functools.wraps(extract_region)
    def signed_region(headers: dict[str, str], query_params: dict[str, list[str]] | None = None) -> str:
        if query_params is None and "authorization" not in headers:
            return str(get_region())  # found in the query when the request came in
        return extract_region(headers, query_params)

    app.extract_region = signed_region


def _judge_tags_of_tables_by_the_table() -> None:
    from ministack.core import iam_actions

    resource_arns: Callable[..., list[str]] = iam_actions.dynamodb_resource_arns

    @functools.wraps(resource_arns)
    def with_tagged(body: bytes, *where: str) -> list[str]:
        if found := resource_arns(body, *where):
            return found
        try:
            named = json.loads(body or b"{}").get("ResourceArn")
        except ValueError:
            return []
        return [named] if isinstance(named, str) else []

    iam_actions.dynamodb_resource_arns = with_tagged


def _look_through_sessions_again() -> None:
    from ministack.services import sts  # type: ignore[import-untyped]  # ships no type information

    evict: Callable[[], None] = sts._evict_expired_sessions

    @functools.wraps(evict)
    def until_nobody_adds_one() -> None:
        while True:
            try:
                return evict()
            except RuntimeError:  # a dictionary that changed while it was gone through
                continue

    sts._evict_expired_sessions = until_nobody_adds_one


def _unpack_packages_once() -> None:
    from ministack.core import lambda_runtime

    packages = Path(os.environ["TMPDIR"]) / "packages"
    unpacking = threading.Lock()

    class SharedPackage(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            contents = [(each.filename, each.file_size, each.CRC) for each in self.infolist()]
            folder = packages / hashlib.sha256(repr(contents).encode()).hexdigest()
            with unpacking:
                if not folder.exists():
                    unfinished = folder.with_suffix(".unfinished")
                    super().extractall(unfinished, members, pwd)
                    unfinished.rename(folder)
            Path(path).rmdir()  # the emulator has made it, empty
            Path(path).symlink_to(folder)
            Path(str(self.filename)).unlink()  # as large as the package, once a process

    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedPackage})


def _name_the_lack_of_room() -> None:
    from ministack.services import stepfunctions

    call: Callable[..., Any] = stepfunctions._call_lambda

    @functools.wraps(call)
    def named(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except stepfunctions._ExecutionError as error:
            with contextlib.suppress(ValueError):
                answer = json.loads(error.cause)
                if isinstance(answer, dict) and answer.get("__type") == "TooManyRequestsException":
                    error.error = "Lambda.TooManyRequestsException"
            raise

    stepfunctions._call_lambda = named


def _serve() -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app
    from ministack.core import tls

    # Not the emulator's own main: with TLS it would take port 443 as well, where it can.
    config = Config()
    host = os.environ["BIND_HOST"]
    config.bind = [f"{host}:{urlsplit(os.environ['AWS_ENDPOINT_URL']).port}"]
    config.insecure_bind = [f"{host}:{os.environ['GATEWAY_PORT']}"]
    config.certfile, config.keyfile = tls.resolve_tls_material()
    config.keep_alive_timeout = 75
    asyncio.run(serve(app.app, config))


def main() -> None:
    """Serve the emulator until a signal or the end of the parent process."""
    threading.Thread(target=_end_with_parent, daemon=True, name="end-with-parent").start()
    _allow_many_connections()
    _judge_presigned_urls_in_their_region()
    _judge_tags_of_tables_by_the_table()
    _look_through_sessions_again()
    _unpack_packages_once()
    _name_the_lack_of_room()
    if trail := os.environ.pop("GDPR_TRAIL", ""):
        _record_decisions(Path(trail))
    _serve()


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
