"""The folder for the real engine, made with a CLI that only notes how it is called."""

from pathlib import Path

import pytest

from local.emulator.emulator import Emulator
from local.provider.engine import Engine

CLI = """#!/bin/sh
mkdir -p "$PULUMI_HOME/logs" && touch "$PULUMI_HOME/logs/$1.log"
echo v3.274.0
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own home of the CLI."""
    cli = tmp_path / "bin" / "pulumi"
    cli.parent.mkdir()
    cli.write_text(CLI, "utf-8")
    cli.chmod(0o700)
    monkeypatch.setenv("PATH", f"{cli.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "theirs"))
    monkeypatch.setenv("PULUMI_DIY_BACKEND_GZIP", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "theirs"


def engine(home: Path) -> Engine:
    return Engine(Emulator.attached("https://127.0.0.1:1", Path("/authority.pem")), home)


def test_the_users_own_home_of_the_cli_is_left_alone(theirs: Path, tmp_path: Path) -> None:
    made = engine(tmp_path / "engine")
    assert not theirs.exists()
    assert (tmp_path / "engine" / "pulumi" / "logs" / "version.log").exists()
    assert made.environment["PULUMI_DIY_BACKEND_GZIP"] == "false", "its tests look into the state"


@pytest.mark.usefixtures("theirs")
def test_a_folder_of_any_name_is_an_address_of_the_state(tmp_path: Path) -> None:
    made = engine(tmp_path / "c# 100%")
    assert made.environment["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/c%23%20100%25/state"
    assert Path(engine(Path("relative")).environment["PULUMI_HOME"]).is_absolute()
