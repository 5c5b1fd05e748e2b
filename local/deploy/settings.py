"""Read Pulumi.yaml and Pulumi.<stack>.yaml as the Pulumi CLI would."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local import plain_yaml
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
    for key, value in (_load(file).get("config") or {}).items():
        if isinstance(value, Mapping) and set(value) == {"secure"}:
            raise DeploymentError(f"{file.name}: {key} is encrypted; only the Pulumi CLI can read it")
        values[_full(project["name"], key)] = value
    return {key: _text(value) for key, value in values.items()}


def _load(file: Path) -> dict[str, Any]:
    try:
        loaded = plain_yaml.load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DeploymentError(f"{file.name}{line}: not YAML: {error.problem}") from None
    return loaded if isinstance(loaded, dict) else {}


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
