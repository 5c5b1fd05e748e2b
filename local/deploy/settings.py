"""Read Pulumi.yaml and Pulumi.<stack>.yaml as the Pulumi CLI would."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.deploy import cli_values
from local.deploy.creator import DeploymentError
from local.emulator.emulator import ROOT


def stack_names(root: Path = ROOT) -> list[str]:
    """The stacks that have a settings file, in alphabetical order."""
    return sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))


def project_name(root: Path = ROOT) -> str:
    """The project's name."""
    return str(_load(root / "Pulumi.yaml")["name"])


def stack_config(stack: str, root: Path = ROOT) -> dict[str, str]:
    """The stack's config as the Pulumi runtime gets it: full keys, text values, structures as JSON.

    Raises DeploymentError for a stack without settings, and for an encrypted value, which only the
    Pulumi CLI can read.
    """
    file = root / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise DeploymentError(
            f"no stack {stack!r}: there is no {file.name} (stacks: {', '.join(stack_names(root))})"
        )
    project = _load(root / "Pulumi.yaml")
    values: dict[str, Any] = {}
    for key, declared in (project.get("config") or {}).items():
        if not isinstance(declared, Mapping):
            values[_full(project["name"], key)] = declared
        elif "value" in declared or "default" in declared:
            values[_full(project["name"], key)] = declared.get("value", declared.get("default"))
    config = _load(file).get("config") or {}
    if not isinstance(config, Mapping):
        raise DeploymentError(f"{file.name}: config has to be a mapping of keys to values")
    for key, value in config.items():
        if key.count(":") > 1:
            raise DeploymentError(f"{file.name}: {key} is no key; write it as <namespace>:<name>")
        if _full(project["name"], key) in config and ":" not in key:
            full = _full(project["name"], key)
            raise DeploymentError(f"{file.name}: {key} and {full} are one key, given twice")
        if _holds_encrypted(value):
            raise DeploymentError(f"{file.name}: {key} is encrypted; only the Pulumi CLI can read it")
        values[_full(project["name"], key)] = value
    return {key: cli_values.as_text(value) for key, value in values.items()}


def region_of(stack: str, config: Mapping[str, str]) -> str:
    """The region that a stack's config names.

    Raises DeploymentError where it names none, or what cannot be one: no client could be made for it.
    """
    region = config.get("aws:region")
    if not region:
        raise DeploymentError(f"Pulumi.{stack}.yaml: aws:region is not set")
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]", region) is None:
        raise DeploymentError(
            f"Pulumi.{stack}.yaml: aws:region is {region!r}: write a region, such as eu-west-1"
        )
    return region


def _load(file: Path) -> dict[str, Any]:
    try:
        loaded = cli_values.load(file.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DeploymentError(
            f"{file.name}: not UTF-8 (byte {error.start}); save the file in that encoding"
        ) from None
    except cli_values.UnreadableError as error:
        raise DeploymentError(f"{file.name}, {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DeploymentError(f"{file.name}{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise DeploymentError(f"{file.name}: not YAML: {error}") from None
    return loaded if isinstance(loaded, dict) else {}


def _holds_encrypted(value: Any) -> bool:
    """Whether a value is encrypted, or a part of it, at any depth."""
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(_holds_encrypted, value.values()))
    return isinstance(value, list) and any(map(_holds_encrypted, value))


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"
