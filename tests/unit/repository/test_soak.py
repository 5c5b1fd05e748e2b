"""The same examples everywhere in `make test`, and what a soak says about a failure repeats it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import soak

FAILING = """
from pathlib import Path

from hypothesis import given, strategies as st

from tests import properties


@given(st.lists(st.integers()))
def test_fails(numbers):
    with Path(__file__).with_name("tried").open("a") as tried:
        tried.write(f"{numbers}\\n")
    assert sum(numbers) < 100_000


@given(st.integers())
def test_holds(number):
    assert properties.soaking()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(soak.ROOT))
    monkeypatch.setenv("CI", "true")
    (tmp_path / "conftest.py").write_text("from tests import properties\n\nproperties.register()\n")
    (tmp_path / "test_some.py").write_text(FAILING)
    return tmp_path


def tried(folder: Path) -> list[str]:
    """The examples that were tried since this was last asked."""
    path = folder / "tried"
    found = path.read_text().splitlines()
    path.unlink()
    return found


def test_the_command_that_is_printed_repeats_the_same_examples(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert soak.soak(1, ["test_some.py"], ["test_some.py"], folder) == 1
    (line,) = [line for line in capfd.readouterr().out.splitlines() if "to repeat it: " in line]
    first = tried(folder)
    command = line.partition("to repeat it: ")[2]
    assert command.endswith(" test_some.py::test_fails")
    # From another folder, as somebody may type it in.
    ended = subprocess.run(["bash", "-c", command], cwd=elsewhere, check=False, capture_output=True)
    assert ended.returncode == 1
    assert tried(folder) == first
    assert soak.failed(1, ["test_some.py"], folder) == ["test_some.py::test_fails"]
    assert tried(folder) != first


def test_a_soak_goes_on_until_its_minutes_are_over(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert soak.soak(0, ["-k", "holds"], ["-k", "holds"], folder) == 0
    assert "soak: 1 rounds, nothing failed" in capfd.readouterr().out
    assert soak.failed(1, ["-k", "neither"], folder) == ["-k", "neither"], "no test at all is a failure"


@pytest.mark.parametrize("minutes", ["abc", "", "nan", "-1", "inf"])
def test_minutes_that_are_none_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], minutes: str
) -> None:
    monkeypatch.setenv("SOAK_MINUTES", minutes)
    assert soak.main() == 2
    assert capsys.readouterr().out.startswith(f"soak: SOAK_MINUTES is {minutes!r}: give a number")


def test_a_soak_that_is_stopped_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(soak, "soak", stopped)
    assert soak.main() == 130
    assert capsys.readouterr().out == "soak: stopped\n"


def test_make_test_tries_the_same_examples_everywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "test_some.py::test_fails"]
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    with_ci = tried(folder)
    monkeypatch.delenv("CI")
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    assert tried(folder) == with_ci
