"""Things that must not be in any file of the repository."""

import re
from pathlib import Path

import pytest

THIS = Path(__file__).name
# Written by others, or compiled: not our words.
NOT_OURS = {"LICENSE"}
CODE = {".py", ".yaml", ".yml", ".toml", ".md", ".in"}


def offending_lines(
    files: list[Path], root: Path, pattern: str, suffixes: set[str] | None = None
) -> list[str]:
    expression = re.compile(pattern)
    found = []
    for path in files:
        if path.name in NOT_OURS | {THIS} or (suffixes is not None and path.suffix not in suffixes):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if expression.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()[:120]}")
    return found


def test_no_package_index_is_named(files: list[Path], root: Path) -> None:
    # A contributor's own pip or uv configuration says where packages come from.
    pattern = r"--(extra-)?index-url|--find-links|--trusted-host|pypi\.org|pythonhosted\.org"
    assert offending_lines(files, root, pattern) == []


def test_no_path_of_somebodys_machine(files: list[Path], root: Path) -> None:
    assert offending_lines(files, root, r"(?<![\w.~}-])/(home|Users|root|work|workspace|mnt)/\w") == []


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        (r"(?i)tenan(t|cy)", "customer, or vault"),
        (r"(?i)\bgdpr[ -]requests?\b", "request"),
        (r"(?i)\bwip(e|es|ed|ing)\b", "erase, or destroy"),
        (r"(?i)\bjobs?\b", "run"),
    ],
)
def test_one_word_for_one_thing(files: list[Path], root: Path, word: str, instead: str) -> None:
    assert offending_lines(files, root, word, CODE) == [], f"say {instead}"


def test_nothing_is_left_for_later(files: list[Path], root: Path) -> None:
    assert offending_lines(files, root, r"\b(TODO|FIXME|XXX|HACK)\b", CODE) == []


def test_every_silenced_check_is_named(files: list[Path], root: Path) -> None:
    assert offending_lines(files, root, r"#\s*noqa(?!: [A-Z])", {".py"}) == []
    assert offending_lines(files, root, r"#\s*type:\s*ignore(?!\[[a-z-]+(, ?[a-z-]+)*\])", {".py"}) == []


def test_no_test_is_skipped(files: list[Path], root: Path) -> None:
    assert offending_lines(files, root, r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b", {".py"}) == []
