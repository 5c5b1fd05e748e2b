"""`python -m local`: help that helps, errors without stack traces, and nothing left behind."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from local.__main__ import main
from local.emulator.emulator import ROOT
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
sys.exit(main(["up", "us-east"]))
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_on_a_signal_also_where_it_was_started_with_it_ignored(
    tmp_path: Path, ending: signal.Signals
) -> None:
    """As a shell without control of its terminal starts what is put into the background."""
    process = subprocess.Popen(
        [sys.executable, "-c", _UP_WITH_NOTHING_DEPLOYED],
        cwd=ROOT,
        env={**BUFFERED, "GDPR_STATE": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, ending, signal.SIG_IGN),
    )
    try:
        assert process.stdout
        group, folder = process.stdout.readline().split()
        assert any("Ctrl-C" in line for line in process.stdout)
        process.send_signal(ending)
        assert process.wait(180) == 0
    finally:
        process.kill()
        process.communicate()
    assert not alive(int(group))
    assert not Path(folder).exists()


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
