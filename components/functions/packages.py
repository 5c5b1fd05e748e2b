"""Deployment packages of the functions, as `make build` leaves them."""

import os
import platform
from pathlib import Path
from typing import Final, Literal

import pulumi

from .catalogue import Package

Target = Literal["production", "local"]

BUILD_VARIABLE: Final = "GDPR_BUILD"
"""Environment variable that chooses the build: `production` (default) or `local`, which fits this machine."""

ROOT: Final = Path(__file__).resolve().parents[2]


class MissingBuildError(pulumi.RunError):
    """There is nothing to deploy yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} has no built package: run `make build` first, then try again")


class UnknownBuildError(pulumi.RunError):
    """The environment asks for a build that does not exist."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{BUILD_VARIABLE} is {value!r}: set it to production or local, or unset it")


def target() -> Target:
    """Return which build is to be deployed.

    Raises UnknownBuildError where the environment names another.
    """
    value = os.environ.get(BUILD_VARIABLE, "production")
    if value == "production":
        return "production"
    if value == "local":
        return "local"
    raise UnknownBuildError(value)


def architecture() -> Literal["arm64", "x86_64"]:
    """Return the processor that functions run on: arm64 in production, this machine's otherwise."""
    if target() == "production":
        return "arm64"
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def package(name: Package) -> pulumi.FileArchive:
    """Return a package's folder, which Pulumi hashes by content.

    Raises MissingBuildError where it has not been built.
    """
    folder = ROOT / "build" / target() / name
    if not folder.is_dir() or not any(folder.iterdir()):
        raise MissingBuildError(folder)
    return pulumi.FileArchive(str(folder))
