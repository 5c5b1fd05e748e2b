"""`python -m local`: help that helps, errors without stack traces, and nothing left behind."""

import errno
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from local.__main__ import main
from local.client import Credentials
from local.commands.up import how_to_call
from local.emulator.emulator import ROOT
from local.stacks import Stack
from tests.unit.local.support import alive


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for command in ("build", "up", "reindex", "redrive", "contract-end", "demo"):
        assert command in shown


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_unknown_stack_is_one_line_that_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "atlantis"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no stack atlantis")
    assert "eu-west" in error
    assert "Traceback" not in error


def test_redriving_a_stack_that_is_not_up_says_how_to_start_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("local.stacks.STATE", tmp_path)
    assert main(["redrive", "eu-west", "acme", "0195"]) == 1
    assert "start `make up` first" in capsys.readouterr().err


# As a shell has it by itself, in which Python keeps back what it writes to a pipe.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

_UP_WITH_NOTHING_DEPLOYED = """
import contextlib, sys
import local.commands.up as up
from local.emulator.emulator import Emulator

@contextlib.contextmanager
def regions(stacks, name):
    with Emulator(name=name) as emulator:
        print(emulator.pid, emulator.folder, flush=True)
        yield emulator, []

up.regions, up.build = regions, lambda target: None
from local.__main__ import main
from local.client import Credentials
from local.commands.up import how_to_call
sys.exit(main(["up", "us-east"]))
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, None])
def test_up_ends_on_a_signal_also_where_it_was_started_with_it_ignored(
    tmp_path: Path, ending: signal.Signals | None
) -> None:
    """As a shell without control of its terminal starts what is put into the background."""
    process = subprocess.Popen(
        [sys.executable, "-c", _UP_WITH_NOTHING_DEPLOYED],
        cwd=ROOT,
        env={**BUFFERED, "GDPR_STATE": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, ending, signal.SIG_IGN) if ending else None,
    )
    try:
        assert process.stdout
        group, folder = process.stdout.readline().split()
        assert any("Ctrl-C" in line for line in process.stdout)
        process.send_signal(ending or signal.SIGHUP)  # a terminal that is closed
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.communicate()
    assert not alive(int(group))
    assert not Path(folder).exists()


def test_a_closed_terminal_does_not_end_what_nohup_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr("local.commands.up.up", lambda _: signal.raise_signal(signal.SIGHUP))
        assert main(["up"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == ""


def test_no_room_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/file")

    monkeypatch.setattr("local.commands.up.up", full)
    assert main(["up"]) == 1
    assert capsys.readouterr().err == "error: No space left on device (/somewhere/file)\n"


def test_too_little_room_for_temporary_files_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("local.emulator.emulator.ROOM", 2**60)
    monkeypatch.setattr("local.stacks.STATE", tmp_path)
    monkeypatch.setattr("local.commands.up.build", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["up", "us-east"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path} has only ")
    assert "set TMPDIR to a folder that has" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["us-east.lock"]


def test_no_folder_for_temporary_files_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("local.stacks.STATE", tmp_path)
    monkeypatch.setattr("local.commands.up.build", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "not-there")])
    assert main(["up", "us-east"]) == 1
    assert capsys.readouterr().err == (
        "error: no folder takes temporary files (TMPDIR, /tmp): make room, or set TMPDIR to a folder "
        "that has 300 MiB\n"
    )


def test_a_stack_whose_up_was_killed_is_not_taken_for_one_that_is_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local.stacks.STATE", tmp_path)
    (tmp_path / "us-east.json").write_text("{}")
    (tmp_path / "us-east.lock").write_text("")
    assert main(["redrive", "us-east", "acme", "0195"]) == 1
    assert "us-east is not up: the `up` that wrote" in capsys.readouterr().err
    assert Stack.all_that_are_up() == []


def test_the_first_call_can_be_copied_from_a_path_with_spaces() -> None:
    stack = Stack(
        name="us-east",
        region="us-east-1",
        endpoint="https://127.0.0.1:1",
        authority="/a b/it's.pem",
        account="1",
        api_url="https://127.0.0.1:1/x",
        token_url="https://127.0.0.1:1/t",
        clients={"acme": {}, "initech": {"dpo": Credentials("id", "secret")}},
        vaults={},
    )
    calls = [shlex.split(line) for line in how_to_call(stack).splitlines()[2:]]
    assert calls[0] == ["curl", "--cacert", "/a b/it's.pem", "https://127.0.0.1:1/x/v1/health"]
    assert calls[1][:2] == [sys.executable, "-c"]
    assert 'client("initech")' in calls[1][2]
    assert "no customer has a program yet" in how_to_call(replace(stack, clients={"acme": {}}))


def test_up_writes_what_clients_need_for_this_user_alone_and_ctrl_c_takes_it_down(tmp_path: Path) -> None:
    elsewhere = {**BUFFERED, "GDPR_STATE": str(tmp_path)}  # a developer's own `make up` may be running
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "up", "us-east"],
        cwd=ROOT,
        env=elsewhere,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN),  # whatever these tests started with
    )
    file = tmp_path / "us-east.json"
    try:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert file.stat().st_mode & 0o777 == 0o600
        second = subprocess.run(
            [sys.executable, "-m", "local", "up", "us-east"],
            cwd=ROOT,
            env=elsewhere,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert second.returncode == 1
        assert "us-east is up already" in second.stderr
        assert file.exists()
        answer = subprocess.run(
            [sys.executable, "-c", _ASK],
            cwd=ROOT,
            env=elsewhere,
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )
        assert answer.stdout.strip() == "[]"
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(180)
        if process.stdout:
            process.stdout.close()
    assert code == 0
    assert not file.exists()
    assert "us-east (us-east-1)" in "".join(lines)


_ASK = 'from local.stacks import Stack; print(Stack.read("us-east").client("initech").requests())'
