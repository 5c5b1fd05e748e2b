"""Who may import whom, as one table. Imports go one way, and a Lambda package carries only its libraries.

A wing is a folder of code: one capability, or one layer. docs/architecture.md draws what this table says.
"""

import ast
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from components.functions.catalogue import FUNCTIONS

ROOT = Path(__file__).resolve().parents[3]
LAMBDAS = ROOT / "lambdas"

MOST_FILES = 15
"""Files in one folder of code, `__init__.py` not counted: what a reader takes in at a glance."""

ARROWS: Mapping[str, Mapping[str, str]] = {
    # folder -> wing (a folder in it, or a module beside the wings) -> what it may import of the same folder
    "lambdas/privacy": {
        "environment": "",
        "identifiers": "",
        "nesting": "",
        "timestamps": "",
        "unattributed": "",
        "aws": "",
        "customers": "aws",
        "requests": "aws",
        "formats": "customers",
        "parquet": "customers formats",
        "vault": "aws customers",
        "evidence": "aws vault",
        "exports": "aws requests vault",
        "index": "aws customers formats parquet requests vault",
        "visits": "aws customers exports formats index vault",
        "reindex": "aws customers evidence formats index requests vault",
        "run": "aws customers evidence exports requests vault visits",
        "contracts": "aws customers evidence requests vault",
        "api": "aws customers exports requests vault",
    },
    "components": {
        "naming": "",
        "ground": "naming",
        "standard": "",
        "iam": "",
        "settings": "iam",
        "functions": "iam standard",
        "machines": "functions iam standard",
        "schedules": "functions iam standard",
        "roles": "functions iam machines schedules standard",
        "vaults": "iam settings standard",
        "api": "functions settings standard",
        "shared": "api functions iam settings standard vaults",
        "contracts": "iam settings standard",
        "operations": "functions iam settings",
        "permissions": "functions iam machines operations roles schedules settings",
        "threats": "functions iam",
        "region": "api contracts functions machines operations roles schedules settings shared vaults",
    },
    "local": {
        "errors": "",
        "plain_yaml": "",
        "client": "",
        "customers": "",
        "bytecode": "errors",
        "emulator": "errors",
        "build": "bytecode emulator errors plain_yaml",
        "deploy": "emulator errors",
        "provider": "deploy emulator errors",
        "stacks": "client customers deploy emulator errors",
        "vaults": "emulator stacks",
        "executions": "emulator errors stacks",
        "commands": "build deploy emulator errors executions provider stacks",
        "demo": "build client commands customers deploy emulator errors executions stacks vaults",
        "__main__": "build commands demo errors stacks",
    },
    "benchmarks": {
        "costs": "",
        "imports": "",
        "load": "",
        "visits": "",
        "contract_end": "costs visits",
        "__main__": "contract_end costs imports load visits",
    },
}

HANDLERS_USE: Mapping[str, str] = {
    # wing of lambdas/handlers -> wings of lambdas/privacy; none of them imports another handler
    "api": "api contracts customers exports requests vault",
    "contracts": "aws contracts customers evidence requests vault",
    "exports": "aws customers exports requests vault",
    "index": "aws customers formats index requests vault",
    "reindex": "aws customers index reindex requests",
    "run": "aws customers requests run vault visits",
}

ROOTS: Mapping[str, set[str]] = {
    # top folder -> what it may import of the other top folders
    "lambdas": set(),
    "components": {"lambdas.privacy.environment"},
    "local": {"components"},
    "benchmarks": {"components", "handlers", "lambdas", "local", "privacy", "tests"},
}

BESIDE = {
    "lambdas/privacy": {"environment", "identifiers", "nesting", "timestamps", "unattributed"},
    "components": {"naming", "ground"},
}
"""Modules beside the wings that every wing may import: they know no wing."""

PURE = ("formats", "parquet")
"""Wings of lambdas/privacy that never call AWS: rows go in and come out."""

LIBRARIES = {
    "api": {"cryptography", "jsonschema_rs"},
    "runs": set(),
    "rows": {"cryptography", "msgspec", "orjson", "pyarrow", "zlib_ng", "zstandard"},
}
HANDLERS = sorted(path.stem for path in (LAMBDAS / "handlers").glob("*/[a-z]*.py"))
RUNTIME = {"boto3", "botocore"}
TYPES_ONLY = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imported(path: Path, *, at_run_time: bool = False) -> set[str]:
    """Full dotted names that a file imports, those inside functions too.

    `at_run_time` leaves out what only the type checker sees.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test) in TYPES_ONLY:
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


def reached(start: Path) -> set[str]:
    """Everything that a file imports at run time, itself or through the modules of `privacy`."""
    names: set[str] = set()
    seen: set[Path] = set()
    waiting = [start]
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


def imports_between_wings(folder: str) -> set[tuple[str, str, str]]:
    """Every import of one wing by another: the file, its wing, the wing that it imports."""
    base = ROOT / folder
    # `lambdas` itself is on the path, not a part of the name.
    prefix = folder.removeprefix("lambdas/").replace("/", ".")
    found: set[tuple[str, str, str]] = set()
    for path in base.rglob("*.py"):
        here = path.relative_to(base).parts
        wing = here[0].removesuffix(".py")
        for name in imported(path):
            for spelled in (prefix, folder.replace("/", ".")):
                if name.startswith(f"{spelled}."):
                    other = name.removeprefix(f"{spelled}.").split(".")[0]
                    if other != wing:
                        found.add((str(path.relative_to(ROOT)), wing, other))
    return found


@pytest.mark.parametrize("folder", ARROWS)
def test_imports_between_wings_go_the_way_of_the_table(folder: str) -> None:
    table = ARROWS[folder]
    beside = BESIDE.get(folder, set())
    wrong = {
        f"{path}: {wing} may not import {other}"
        for path, wing, other in imports_between_wings(folder)
        if other not in {*table[wing].split(), *(beside if wing not in beside else ())}
    }
    assert not wrong


@pytest.mark.parametrize("wing", HANDLERS_USE)
def test_handlers_use_the_wings_of_the_table_and_no_other_handler(wing: str) -> None:
    found = {name for path in (LAMBDAS / "handlers" / wing).glob("*.py") for name in imported(path)}
    assert not {name for name in found if name.startswith("handlers")}
    used = {name.split(".")[1] for name in found if name.startswith("privacy.")}
    assert used - BESIDE["lambdas/privacy"] == set(HANDLERS_USE[wing].split())


def test_every_folder_of_handlers_is_in_the_table() -> None:
    folder = LAMBDAS / "handlers"
    assert {path.parent.name for path in folder.glob("*/*.py")} == set(HANDLERS_USE)
    assert [path.name for path in folder.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("folder", ARROWS)
def test_the_table_names_the_wings_that_there_are_and_no_arrow_that_nobody_uses(folder: str) -> None:
    base = ROOT / folder
    wings = {path.parent.name for path in base.glob("*/__init__.py")} | {
        path.stem for path in base.glob("*.py") if path.stem != "__init__"
    }
    assert set(ARROWS[folder]) == wings
    used = {(wing, other) for _, wing, other in imports_between_wings(folder)}
    listed = {(wing, other) for wing, others in ARROWS[folder].items() for other in others.split()}
    assert listed <= used, "no file needs these arrows any more"


@pytest.mark.parametrize("folder", ARROWS)
def test_no_arrows_make_a_circle(folder: str) -> None:
    graph = {wing: others.split() for wing, others in ARROWS[folder].items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("folder", ARROWS)
def test_no_modules_make_a_circle_inside_a_wing_either(folder: str) -> None:
    base = ROOT / folder
    prefix = folder.removeprefix("lambdas/").replace("/", ".")
    modules = {
        ".".join([prefix, *path.relative_to(base).with_suffix("").parts]): path
        for path in base.rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {
        module: {
            other
            for name in imported(path, at_run_time=True)
            for other in (name, name.rpartition(".")[0])
            if other in modules and other != module
        }
        for module, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("wing", PURE)
def test_pure_wings_reach_nothing_of_aws(files: list[Path], root: Path, wing: str) -> None:
    for path in python_files(files, root / "lambdas" / "privacy" / wing):
        names = reached(path)
        refused = {n for n in names if n.split(".")[0] in RUNTIME or n.startswith("privacy.aws")}
        assert not refused, f"{path} imports {sorted(refused)}, itself or through others"


def test_functions_import_by_name_alone(files: list[Path], root: Path) -> None:
    # What is imported in another way would pass by every test on this page.
    for path in python_files(files, root / "lambdas"):
        text = ast.unparse(ast.parse(path.read_text("utf-8")))
        assert "importlib" not in text, path
        assert "__import__" not in text, path
        assert not imported(path) & {"privacy", "handlers", "lambdas"}, f"{path}: import a module of it"


@pytest.mark.parametrize("folder", ROOTS)
def test_top_folders_import_only_those_below_them(files: list[Path], root: Path, folder: str) -> None:
    tops = {"benchmarks", "components", "handlers", "lambdas", "local", "privacy", "tests"}
    own = {"handlers", "privacy"} if folder == "lambdas" else {folder}
    for path in python_files(files, root / folder):
        foreign = {n for n in imported(path) if n.split(".")[0] in tops - own}
        wrong = {n for n in foreign if not any(n == a or n.startswith(f"{a}.") for a in ROOTS[folder])}
        assert not wrong, f"{path} imports {sorted(wrong)}"


def test_folders_of_code_are_small_enough_to_take_in(files: list[Path], root: Path) -> None:
    folders: dict[Path, int] = {}
    for path in files:
        if path.suffix == ".py" and path.name not in {"__init__.py", "conftest.py"}:
            folders[path.parent] = folders.get(path.parent, 0) + 1
    full = {str(folder.relative_to(root)): count for folder, count in folders.items() if count > MOST_FILES}
    assert not full, f"more than {MOST_FILES} files: make folders by what they are about"


def test_packages_themselves_are_a_docstring_and_nothing_else(files: list[Path], root: Path) -> None:
    every_function = root / "lambdas" / "handlers" / "__init__.py"  # imports boto3 first, for cold starts
    for path in files:
        if path.name == "__init__.py" and path != every_function and not path.is_relative_to(root / "tests"):
            body = ast.parse(path.read_text("utf-8")).body
            assert len(body) == 1, f"{path}: what is imported from a folder has a module of its own"
            assert isinstance(body[0], ast.Expr), path


def test_functions_import_only_what_is_packaged(files: list[Path], root: Path) -> None:
    # Types for the type checker come from stubs, which are not there at run time.
    for path in python_files(files, root / "lambdas"):
        extra = third_party(imported(path, at_run_time=True)) - RUNTIME - set().union(*LIBRARIES.values())
        assert not extra, f"{path} imports {sorted(extra)}"


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_imports_only_its_own_packages_libraries(handler: str) -> None:
    extra = (
        third_party(reached(LAMBDAS / "handlers" / FUNCTIONS[handler].wing / f"{handler}.py"))
        - RUNTIME
        - LIBRARIES[FUNCTIONS[handler].package]
    )
    assert not extra, f"{handler} would not import in its package: {sorted(extra)}"


def test_components_and_functions_keep_to_their_side(files: list[Path], root: Path) -> None:
    for path in python_files(files, root / "lambdas"):
        assert not {name for name in imported(path) if name.startswith("pulumi")}, path
    for path in [*python_files(files, root / "components"), root / "__main__.py"]:
        assert not {name.split(".")[0] for name in imported(path)} & RUNTIME, path


def test_environment_names_need_only_the_standard_library() -> None:
    assert not third_party(imported(LAMBDAS / "privacy" / "environment.py"))
