"""Documents name files, targets and commands that exist."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The anchors that a Markdown viewer makes of a document's headings."""
    headings = re.findall(r"(?m)^#{1,6}\s+(.+?)\s*$", without_code_blocks(path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code_blocks(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```", "", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_resolve(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code_blocks(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(linked), f"{target}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_named_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    commands = re.findall(r"(?m)(?:`|^)make ([a-z-]+)", path.read_text("utf-8"))
    assert set(commands) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_named_files_exist(path: Path) -> None:
    # Paths in backticks: `lambdas/privacy/api/openapi.yaml`. Those with placeholders or stars are patterns.
    folders = "components|lambdas|local|tests|benchmarks|docs|requirements"
    for file in re.findall(rf"`((?:{folders})/[\w./-]+)`", path.read_text("utf-8")):
        assert (ROOT / file).exists(), f"{file} is not there"


def test_readme_shows_both_commands() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert any(line.startswith("make demo") for line in lines)
    assert any(line.startswith("make test") for line in lines)


def test_every_target_is_listed_by_help() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    listed = set(re.findall(r"(?m)^([a-z]+):.*## ", text))
    assert {"help", "venv", "build", "up", "demo", "test", "bench"} <= listed


def test_decision_records_are_numbered_and_listed() -> None:
    numbers = [int(path.name[:4]) for path in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    for path in RECORDS:
        assert f"({path.name})" in index


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_decision_records_say_why_and_what_follows(path: Path) -> None:
    text = path.read_text("utf-8")
    for heading in ("## Context", "## Decision", "## Consequences"):
        assert heading in text
