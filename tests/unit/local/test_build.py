"""Lambda packages: what is in them, that they are repeatable, and that nothing is done twice."""

import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.functions import function
from local import build as builder
from local.build import build
from local.errors import LocalError

NEEDED_OF_ARROW = {
    "__init__.py",
    "lib.cpython-313-aarch64-linux-gnu.so",
    "libarrow.so.2600",
    "libarrow_dataset.so.2600",
    "libarrow_python.so.2600",
    "libparquet.so.2600",
    "_parquet.cpython-313-aarch64-linux-gnu.so",
}
PARTS_OF_ARROW = NEEDED_OF_ARROW | {
    "lib.pxd",
    "libarrow_flight.so.2600",
    "libarrow_python.so",
    "libarrow_python.so.2600.1.0",
    "_flight.cpython-313-aarch64-linux-gnu.so",
    "_dataset.cpython-313-aarch64-linux-gnu.so",
    "tests/test_io.py",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project whose libraries come from nowhere: the installer is stood in for."""
    for name in ("handlers", "privacy"):
        (tmp_path / "lambdas" / name).mkdir(parents=True)
        (tmp_path / "lambdas" / name / "__init__.py").write_text(f'"""{name}"""\n')
    (tmp_path / "lambdas/handlers/answer.py").write_text("def handler(event, context): return event\n")
    (tmp_path / "lambdas/privacy/api").mkdir()
    (tmp_path / "lambdas/privacy/api/openapi.yaml").write_text(
        "openapi: 3.1.0\ninfo: {version: 2026-01-01}\n"
    )
    (tmp_path / "lambdas/privacy/__pycache__").mkdir()
    (tmp_path / "lambdas/privacy/__pycache__/x.pyc").write_bytes(b"x")
    (tmp_path / "requirements").mkdir()
    for package in ("api", "rows"):
        (tmp_path / f"requirements/lambda-{package}.txt").write_text("library==1\n")

    run = subprocess.run

    def install(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 -- run's
        if "pip" not in command:
            return run(command, **options)
        target = Path(command[command.index("--target") + 1])
        (target / "library").mkdir(parents=True)
        (target / "library/__init__.py").write_text(f"COMMAND = {' '.join(command[:-4])!r}\n")
        (target / "library/for_python_2.py").write_text("print 'old'\n")
        (target / "library-1.dist-info").mkdir()
        (target / "library-1.dist-info/RECORD").write_text("r")
        (target / "library-1.dist-info/LICENSE").write_text("l")
        (target / "pyarrow/tests").mkdir(parents=True)
        for name in PARTS_OF_ARROW:
            (target / "pyarrow" / name).write_text("a")
        (target / "bin").mkdir()
        (target / "bin/tool").write_text("t")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(builder.subprocess, "run", install)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def quiet(_: str) -> None:
    pass


def test_a_package_has_the_sources_the_contract_as_json_and_the_libraries(project: Path) -> None:
    for folder in build("local", project, quiet):
        libraries = {
            "library/__init__.py",
            "library/for_python_2.py",
            "library-1.dist-info/LICENSE",
            *(f"pyarrow/{name}" for name in NEEDED_OF_ARROW),
        }
        assert {name for name in content(folder) if "__pycache__" not in name} == {
            "handlers/__init__.py",
            "handlers/answer.py",
            "privacy/__init__.py",
            "privacy/api/openapi.json",
            *(libraries if folder.name != "runs" else ()),
        }
        contract = json.loads((folder / "privacy/api/openapi.json").read_text())
        assert contract == {"openapi": "3.1.0", "info": {"version": "2026-01-01"}}


def test_every_module_that_can_be_compiled_has_its_bytecode(project: Path) -> None:
    for folder in build("local", project, quiet):
        modules = {name for name in content(folder) if name.endswith(".py")} - {"library/for_python_2.py"}
        assert {name for name in content(folder) if "__pycache__" in name} == {
            importlib.util.cache_from_source(name) for name in modules
        }


def test_bytecode_is_taken_as_it_is_and_names_the_paths_in_lambda(project: Path) -> None:
    _, runs, _ = build("local", project, quiet)
    made = Path(importlib.util.cache_from_source(str(runs / "handlers/answer.py"))).read_bytes()
    assert made[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(made[4:8], "little") == 0b01, "by its source's hash, which nobody checks"
    code = marshal.loads(made[16:])
    assert code.co_filename == "/var/task/handlers/answer.py"
    assert str(project).encode() not in made
    # Python really takes it: the source is not looked at any more.
    (runs / "handlers/answer.py").write_text("raise ValueError\n")
    imported = [sys.executable, "-P", "-c", "import handlers.answer as a; print(a.handler(7, None))"]
    answer = subprocess.run(
        imported, env={"PYTHONPATH": str(runs)}, capture_output=True, text=True, check=True
    )
    assert answer.stdout == "7\n"


def test_our_own_code_has_to_compile(project: Path) -> None:
    (project / "lambdas/handlers/answer.py").write_text("def handler(:\n")
    with pytest.raises(LocalError, match=r"cannot compile handlers/answer\.py"):
        build("local", project, quiet)
    assert not (project / "build/local/runs").exists()


def stand_in(folder: Path, script: str) -> None:
    """A `python3.99` that is found first."""
    folder.mkdir()
    (folder / "python3.99").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "python3.99").chmod(0o755)


def test_the_bytecode_of_production_is_made_by_the_python_that_runs_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"python{builder.RUNTIME}" == function.RUNTIME
    stand_in(project / "bin", f"printf '3.99\\n{sys.executable}\\n'")
    monkeypatch.setenv("PATH", f"{project / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(builder, "RUNTIME", "3.99")
    for folder in build("production", project, quiet):
        assert "handlers/__pycache__" in {str(Path(name).parent) for name in content(folder)}


@pytest.mark.parametrize("script", ["exit 127", "echo 3.12", None])
def test_without_that_python_production_is_built_without_bytecode_and_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    stand_in(project / "bin", script or "")
    if script is None:
        (project / "bin/python3.99").write_bytes(b"\x7fELF of another machine")
    monkeypatch.setenv("PATH", f"{project / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(builder, "RUNTIME", "3.99")
    said = list[str]()
    for folder in build("production", project, said.append):
        assert not [name for name in content(folder) if "__pycache__" in name]
        what = f"build/production/{folder.name} is without bytecode"
        assert f"{what}, for there is no python3.99 on the PATH" in said


def test_production_asks_for_lambdas_own_platform(project: Path) -> None:
    api, _, _ = build("production", project, quiet)
    command = (api / "library/__init__.py").read_text()
    assert "--platform=manylinux_2_28_aarch64" in command
    assert "--python-version=3.13" in command
    assert "--require-hashes" in command
    local, _, _ = build("local", project, quiet)
    assert "--platform" not in (local / "library/__init__.py").read_text()


def test_the_same_sources_give_the_same_bytes(project: Path) -> None:
    first = content(build("local", project, quiet)[0])
    shutil.rmtree(project / "build")
    assert content(build("local", project, quiet)[0]) == first


def test_what_is_up_to_date_is_left_alone_and_what_changed_is_built(project: Path) -> None:
    (api, _, _), said = build("local", project, quiet), list[str]()
    before = api.stat().st_ino
    build("local", project, said.append)
    assert api.stat().st_ino == before
    assert said == [f"build/local/{name} is up to date" for name in ("api", "runs", "rows")]

    (project / "lambdas/handlers/answer.py").write_text("def handler(event, context): return None\n")
    (project / "lambdas/privacy/new.py").write_text("NEW = 1\n")
    build("local", project, quiet)
    assert b"None" in content(api)["handlers/answer.py"]
    assert "privacy/new.py" in content(api)

    (project / "lambdas/privacy/new.py").unlink()
    build("local", project, quiet)
    assert "privacy/new.py" not in content(api)


def test_a_failed_installation_says_why_and_leaves_no_package(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no matching distribution")

    monkeypatch.setattr(builder.subprocess, "run", fail)
    with pytest.raises(LocalError, match="no matching distribution"):
        build("local", project, quiet)
    assert not (project / "build/local/api").exists()


@pytest.mark.parametrize(("limit", "what"), [("UNPACKED_LIMIT", "unpacked"), ("ZIPPED_LIMIT", "zipped")])
def test_a_package_that_lambda_would_refuse_is_not_made(
    project: Path, monkeypatch: pytest.MonkeyPatch, limit: str, what: str
) -> None:
    monkeypatch.setattr(builder, limit, 10)
    with pytest.raises(LocalError, match=rf"package api has [\d,]+ bytes {what}, and Lambda takes 10"):
        build("production", project, quiet)
    assert not (project / "build/production/api").exists()
