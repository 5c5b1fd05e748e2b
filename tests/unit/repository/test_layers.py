"""Who may import whom. Imports go one way, and each Lambda package carries only its own libraries."""

import ast
import sys
from pathlib import Path

import pytest

from components.functions.catalogue import FUNCTIONS

ROOT = Path(__file__).resolve().parents[3]
LAMBDAS = ROOT / "lambdas"

LIBRARIES = {"api": {"jsonschema_rs"}, "runs": set(), "rows": {"orjson", "pyarrow", "zstandard"}}
HANDLERS = sorted(path.stem for path in (LAMBDAS / "handlers").glob("*/[a-z]*.py"))
RUNTIME = {"boto3", "botocore"}


def imported(path: Path, *, at_run_time: bool = False) -> set[str]:
    """Full dotted names that a file imports, those inside functions too.

    `at_run_time` leaves out what only the type checker sees.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            names.update(f"{module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))
    return names


def third_party(names: set[str]) -> set[str]:
    roots = {name.split(".")[0] for name in names}
    return roots - set(sys.stdlib_module_names) - {"handlers", "privacy"}


def closure(handler: str) -> set[str]:
    """Everything that a handler imports, itself or through the modules of `privacy`."""
    names: set[str] = set()
    seen: set[Path] = set()
    waiting = [LAMBDAS / "handlers" / FUNCTIONS[handler].wing / f"{handler}.py"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        found = imported(path, at_run_time=True)
        names |= found
        for name in found:
            parts = name.split(".")
            # `privacy.vault.items` or `privacy.vault.items.key`: one of the prefixes is the module's file.
            candidates = (
                LAMBDAS.joinpath(*parts[:end]).with_suffix(".py") for end in range(2, len(parts) + 1)
            )
            waiting.extend(candidate for candidate in candidates if candidate.is_file())
    return names


def python_files(files: list[Path], folder: Path) -> list[Path]:
    found = [path for path in files if path.suffix == ".py" and path.is_relative_to(folder)]
    assert found, f"no Python files in {folder}"
    return found


def test_functions_know_nothing_of_deployment(files: list[Path], root: Path) -> None:
    for path in python_files(files, root / "lambdas"):
        roots = {name.split(".")[0] for name in imported(path)}
        refused = {name for name in roots if name.startswith("pulumi")} | (
            roots & {"components", "local", "tests"}
        )
        assert not refused, f"{path} imports {sorted(refused)}"


def test_functions_import_only_what_is_packaged(files: list[Path], root: Path) -> None:
    # Types for the type checker come from stubs, which are not there at run time.
    for path in python_files(files, root / "lambdas"):
        extra = third_party(imported(path, at_run_time=True)) - RUNTIME - set().union(*LIBRARIES.values())
        assert not extra, f"{path} imports {sorted(extra)}"


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_imports_only_its_own_packages_libraries(handler: str) -> None:
    extra = third_party(closure(handler)) - RUNTIME - LIBRARIES[FUNCTIONS[handler].package]
    assert not extra, f"{handler} would not import in its package: {sorted(extra)}"


def test_components_know_only_the_names_of_environment_variables(files: list[Path], root: Path) -> None:
    allowed = "lambdas.privacy.environment"
    for path in [*python_files(files, root / "components"), root / "__main__.py"]:
        for name in imported(path):
            first = name.split(".")[0]
            assert first not in {"handlers", "privacy", "local", "tests", "boto3", "botocore"}, (
                f"{path}: {name}"
            )
            if first == "lambdas":
                assert name == allowed or name.startswith(f"{allowed}."), f"{path}: {name}"


def test_environment_names_need_only_the_standard_library() -> None:
    assert not third_party(imported(LAMBDAS / "privacy" / "environment.py"))
