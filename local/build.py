"""Build the three Lambda packages: `python -m local build [production|local|all]`.

    build/<target>/api    handlers + privacy + what requirements/lambda-api.txt pins
    build/<target>/runs   handlers + privacy
    build/<target>/rows   handlers + privacy + the used parts of requirements/lambda-rows.txt

`production` takes wheels for Lambda's arm64 and Python 3.13, whatever this machine is; `local` takes
this machine's. Next to every module is its bytecode; in `production` only where this machine has a
Python 3.13 to make it. A package has the same bytes for the same sources, so that Pulumi, which hashes
the folder's content, sees a change only where there is one. A package that is up to date is left alone.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Literal

from local import bytecode, plain_yaml
from local.emulator.emulator import ROOT
from local.errors import LocalError

Target = Literal["production", "local"]

TARGETS: Final[tuple[Target, ...]] = ("production", "local")
PACKAGES: Final[Mapping[str, str | None]] = {"api": "lambda-api.txt", "runs": None, "rows": "lambda-rows.txt"}
"""The packages with the file that pins their libraries, if they have any but boto3."""

UNPACKED_LIMIT: Final = 250 * 1024 * 1024
ZIPPED_LIMIT: Final = 50 * 1024 * 1024
"""Bytes of a package that Lambda takes, unpacked and zipped (quota "Deployment package size")."""

RUNTIME: Final = "3.13"
"""The version of Python that Lambda runs the production packages with."""

_PRODUCTION: Final = (
    # Lambda's Python 3.13 runs on Amazon Linux 2023, whose glibc is 2.34.
    "--platform=manylinux_2_28_aarch64",
    "--platform=manylinux_2_17_aarch64",
    "--platform=manylinux2014_aarch64",
    "--implementation=cp",
    f"--python-version={RUNTIME}",
)
_SOURCES: Final = ("handlers", "privacy")
_CONTRACT: Final = Path("privacy/api/openapi.yaml")
_NOT_PACKAGED: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Notes that the installer leaves about the installation; nothing reads them in Lambda."""

_UNUSED: Final = (
    # cryptography needs of cffi its extension only, which lies beside the packages.
    *("cffi/*", "pycparser/*"),
    *("pyarrow/include/*", "pyarrow/src/*", "pyarrow/tests/*", "pyarrow/interchange/*"),
    *("pyarrow/*.pxd", "pyarrow/*.pxi", "pyarrow/*.pyx", "pyarrow/*.h", "pyarrow/*.cmake"),
    # The linker asks for libarrow.so.<major>; these are the same once more, under other names.
    *(f"pyarrow/lib{name}.so{more}" for name in ("arrow*", "parquet*") for more in ("", ".*.*.*")),
    *(
        f"pyarrow/libarrow_{name}.*"
        for name in ("flight", "python_flight", "python_parquet_encryption", "s3")
    ),
    *(
        f"pyarrow/_{name}.*.so"
        for name in (
            *("acero", "azurefs", "csv", "cuda", "dataset", "dataset_orc", "dataset_parquet"),
            *("dataset_parquet_encryption", "feather", "flight", "gcsfs", "hdfs", "json", "orc"),
            *("parquet_encryption", "pyarrow_cpp_tests", "s3fs", "substrait"),
        )
    ),
)
"""Parts of libraries, by path, that no function loads: of Arrow everything but its core and parquet. (Its
extensions are linked to acero, dataset and substrait: those stay.)"""


def build(target: Target, root: Path = ROOT, say: Callable[[str], None] = print) -> list[Path]:
    """Bring the packages of a target up to date; their folders.

    Raises LocalError with the installer's words when the dependencies cannot be installed, and where a
    package is larger than Lambda takes.
    """
    return [_build_package(target, package, root, say) for package in PACKAGES]


def _build_package(target: Target, package: str, root: Path, say: Callable[[str], None]) -> Path:
    pinned = PACKAGES[package]
    requirements = root / "requirements" / pinned if pinned else None
    folder = root / "build" / target / package
    stamp = folder.with_name(f".{package}.sha256")
    platform = (
        "|".join(_PRODUCTION) if target == "production" else f"{sys.version}|{sysconfig.get_platform()}"
    )
    python = bytecode.interpreter(RUNTIME) if target == "production" else sys.executable
    own = [Path(__file__), Path(bytecode.__file__)]
    inputs = [*own, *([requirements] if requirements else []), *_source_files(root)]
    wanted = _digest(inputs, f"{target}|{package}|{platform}|{'no ' if python is None else ''}bytecode")
    if folder.is_dir() and stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        say(f"build/{target}/{package} is up to date")
        return folder
    cache = root / "build" / ".libraries"
    libraries = _libraries(target, package, requirements, cache, platform) if requirements else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{package}-") as scratch:
        fresh = Path(scratch) / package
        if libraries:
            _copy(libraries, fresh)
        for source in _source_files(root):
            relative = source.relative_to(root / "lambdas")
            if relative == _CONTRACT:
                _write(fresh / relative.with_suffix(".json"), _as_json(source))
            else:
                _write(fresh / relative, source.read_bytes())
        if python is None:
            say(f"build/{target}/{package} is without bytecode, for there is no python{RUNTIME} on the PATH")
        else:
            _compile(python, fresh)
        if target == "production":
            _check_size(fresh)
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    stamp.write_text(wanted, encoding="ascii")
    say(f"build/{target}/{package} built")
    return folder


def _source_files(root: Path) -> list[Path]:
    files = [root / "lambdas" / _CONTRACT]
    if not files[0].exists():
        raise LocalError(f"{files[0]} is missing: the API's contract goes into every package")
    for folder in _SOURCES:
        files += (root / "lambdas" / folder).rglob("*.py")
    return sorted(file for file in files if "__pycache__" not in file.parts)


def _libraries(target: Target, package: str, requirements: Path, cache: Path, platform: str) -> Path:
    """The pinned libraries in a folder of their own, so that a change of our code installs nothing."""
    wanted = _digest([Path(__file__), requirements], platform)
    folder = cache / f"{target}-{package}-{wanted[:16]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob(f"{target}-{package}-*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".installing-") as scratch:
        fresh = Path(scratch) / "libraries"
        installer = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install"),
                *("--quiet", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-deps"),
                *("--only-binary=:all:", "--require-hashes"),
                *(_PRODUCTION if target == "production" else ()),
                *("--target", str(fresh), "--requirement", str(requirements)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if installer.returncode:
            raise LocalError(
                f"pip could not install {requirements.name} for {target}:\n{installer.stderr.strip()}"
            )
        fresh.rename(folder)
    return folder


def _copy(source: Path, destination: Path) -> None:
    for file in _files(source):
        relative = file.relative_to(source)
        scripts = relative.parts[0] == "bin"
        packaged = file.name not in _NOT_PACKAGED and "__pycache__" not in relative.parts
        if packaged and not scripts and not any(fnmatch(relative.as_posix(), part) for part in _UNUSED):
            _write(destination / relative, file.read_bytes())


def _compile(python: str, folder: Path) -> None:
    """Raise LocalError where the package's Python cannot compile our own code."""
    sources = [file for file in _files(folder) if file.suffix == ".py"]
    failed = bytecode.add_bytecode(python, folder, sources)
    ours = [str(file) for each in failed if (file := each.relative_to(folder)).parts[0] in _SOURCES]
    if ours:  # libraries bring files for other versions of Python; nothing imports those
        raise LocalError(f"{python} cannot compile {', '.join(ours)}")


def _check_size(folder: Path) -> None:
    """Raise LocalError where Lambda would refuse the package."""
    files = list(_files(folder))
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in files:
                archive.write(each, each.relative_to(folder))
        sizes = {
            "unpacked": (sum(each.stat().st_size for each in files), UNPACKED_LIMIT),
            "zipped": (file.tell(), ZIPPED_LIMIT),
        }
    for what, (size, limit) in sizes.items():
        if size > limit:
            raise LocalError(
                f"package {folder.name} has {size:,} bytes {what}, and Lambda takes {limit:,}: "
                "leave more of its libraries out (_UNUSED in local/build.py)"
            )


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o644)  # Lambda runs as another user than the one that builds


def _as_json(contract: Path) -> bytes:
    document = plain_yaml.load(contract.read_text(encoding="utf-8"))
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(files: list[Path], salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\0{file}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
