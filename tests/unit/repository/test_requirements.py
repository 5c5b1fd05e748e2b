"""What is installed is exactly what was reviewed."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "requirements"
COMPILED = sorted(FOLDER.glob("*.txt"))
SOURCES = sorted(FOLDER.glob("*.in"))
PINNED_AND_HASHED = re.compile(r"[\w.-]+==[\w.+!-]+(\s*;[^-]+)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+$")


def entries(path: Path) -> list[str]:
    """Requirements of a compiled file, each with its continuation lines."""
    text = re.sub(r"(?m)^\s*#.*$", "", path.read_text("utf-8"))
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pins(path: Path) -> dict[str, str]:
    return dict(re.match(r"([\w.-]+)==([\w.+!-]+)", entry).groups() for entry in entries(path))


def test_every_source_is_compiled() -> None:
    assert {path.stem for path in SOURCES} == {path.stem for path in COMPILED}


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    assert entries(path)
    for entry in entries(path):
        assert PINNED_AND_HASHED.match(entry), entry[:80]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_named_requirement_is_in_the_compiled_file(path: Path) -> None:
    normal = {name.lower().replace("_", "-") for name in pins(path.with_suffix(".txt"))}
    for line in path.read_text("utf-8").splitlines():
        if name := re.match(r"[A-Za-z][\w.-]*", line):
            assert name[0].lower().replace("_", "-") in normal, (
                f"run: make requirements ({name[0]} is missing)"
            )


@pytest.mark.parametrize("name", ["lambda-api", "lambda-rows"])
def test_tests_run_with_the_versions_that_are_deployed(name: str) -> None:
    here = pins(FOLDER / "dev.txt")
    for package, version in pins(FOLDER / f"{name}.txt").items():
        assert here.get(package) == version, package
