"""Bytecode next to the sources of a package: Lambda cannot write any, and compiles at every cold start.

It goes where Python looks for it (`__pycache__/<module>.cpython-313.pyc`), is made by the Python that will
run it, and is taken without a look at the source ("unchecked hash", PEP 552), so that no file's time is in
it. The paths in it are those in Lambda: it says nothing about the machine that made it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local.errors import LocalError

_SECONDS: Final = 30
"""How long a Python may take to say which one it is."""

_COMPILE: Final = """
import py_compile, sys
folder = sys.argv[1]
for name in sys.stdin.read().split("\\0"):
    try:
        py_compile.compile(
            f"{folder}/{name}", dfile=f"/var/task/{name}", doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError:
        print(name)
"""


def interpreter(version: str) -> str | None:
    """A Python of this version, such as `3.13`, on this machine; None where there is none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    asked = [found, "-c", "import sys; print(*sys.version_info[:2], sep='.'); print(sys.executable)"]
    # What is found may be a stand-in that chooses a Python by the environment, or no program at all.
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    told, _, executable = said.stdout.strip().partition("\n")
    return executable if said.returncode == 0 and told == version else None


def add_bytecode(python: str, folder: Path, sources: Sequence[Path]) -> list[Path]:
    """Compile these files of the folder with this Python; those that it cannot compile.

    The same sources give the same bytes: one process compiles them all, in one order, with hashes that are
    not random. Raises LocalError where that process fails.
    """
    names = sorted(source.relative_to(folder).as_posix() for source in sources)
    compiled = subprocess.run(
        [python, "-P", "-S", "-s", "-c", _COMPILE, str(folder)],
        input="\0".join(names),
        env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if compiled.returncode:
        raise LocalError(f"{python} could not compile {folder.name}:\n{compiled.stderr.strip()}")
    for made in folder.rglob("*.pyc"):
        made.chmod(0o644)  # Lambda runs as another user than the one that builds
    return [folder / name for name in compiled.stdout.splitlines()]
