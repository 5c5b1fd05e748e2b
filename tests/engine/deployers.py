"""The two that can deploy the program on the emulator, told and asked the same way."""

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml
from pulumi import automation

from local.deploy.creator import Aws, DeploymentError
from local.deploy.packages import local_packages
from local.deploy.program import deploy, run_program
from local.deploy.refreshing import refresh_stack
from local.deploy.services.functions import remove_deposit
from local.deploy.settings import project_name, stack_config
from local.deploy.state import opened
from local.emulator.emulator import ROOT, Emulator
from local.provider.engine import Engine

PROVIDER_KEYS = frozenset({"region"})
"""What a provider adds to the inputs by itself, or the engine leaves out of them."""

Config = Mapping[str, Any]
"""A stack's config as its file has it."""


@dataclass(frozen=True)
class Known:
    """A resource as a deployer's state has it."""

    id: str
    inputs: Mapping[str, Any]
    protect: bool


@dataclass(frozen=True)
class Done:
    """What an action did to a stack's state, by the resources' types and names; or why it was refused."""

    made: frozenset[str]
    gone: frozenset[str]
    replaced: frozenset[str]
    changed: Mapping[str, frozenset[str]]
    refused: str = field(default="", compare=False)
    seconds: float = field(default=0, compare=False)

    @property
    def nothing(self) -> bool:
        """Whether the state is as before."""
        return not (self.made or self.gone or self.replaced or self.changed)

    def __str__(self) -> str:
        counts = (
            ("made", self.made),
            ("changed", self.changed),
            ("replaced", self.replaced),
            ("gone", self.gone),
        )
        told = ", ".join(f"{len(some)} {word}" for word, some in counts if some) or "nothing"
        return f"{told or 'nothing'}{', refused' if self.refused else ''} ({self.seconds:.1f} s)"


class Deployer(Protocol):
    """One of the two, with an emulator of its own."""

    emulator: Emulator

    def preview(self, stack: str, config: Config) -> None: ...
    def up(self, stack: str, config: Config) -> Mapping[str, Any]: ...
    def refresh(self, stack: str) -> None: ...
    def unprotect(self, stack: str) -> None: ...
    def destroy(self, stack: str) -> None: ...
    def state(self, stack: str) -> Mapping[str, Known]: ...


class RefusedError(Exception):
    """The deployer did not do it, and said why."""


class Local:
    """The deployer within this process."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def preview(self, stack: str, config: Config) -> None:
        """It has none: a deployment looks first whether something has to be refused."""

    def up(self, stack: str, config: Config) -> Mapping[str, Any]:
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        with _refusals(DeploymentError), local_packages():
            return deploy(self.emulator, stack, config=texts)

    def refresh(self, stack: str) -> None:
        refresh_stack(self.emulator, stack)

    def unprotect(self, stack: str) -> None:
        aws = self._aws(stack)
        with opened(self.emulator.folder, project=project_name(), stack=stack, region=aws.region) as state:
            state.put(*(dataclasses.replace(each, protect=False) for each in state.resources))

    def destroy(self, stack: str) -> None:
        def nothing() -> None:
            """Everything is to go."""

        aws = self._aws(stack)
        with _refusals(DeploymentError):
            run_program(nothing, aws, project=project_name(), stack=stack, config={"aws:region": aws.region})

    def state(self, stack: str) -> Mapping[str, Known]:
        aws = self._aws(stack)
        with opened(self.emulator.folder, project=project_name(), stack=stack, region=aws.region) as state:
            return {each.label: Known(each.id, each.inputs, each.protect) for each in state.resources}

    def _aws(self, stack: str) -> Aws:
        return Aws(self.emulator, stack_config(stack)["aws:region"])


class Pulumi:
    """The real engine and CLI."""

    def __init__(self, emulator: Emulator, home: Path) -> None:
        self.emulator = emulator
        self.engine = Engine(emulator, home)
        self.log: list[str] = []

    def preview(self, stack: str, config: Config) -> None:
        self._write(stack, config)
        with _refusals(automation.CommandError):
            self.stack(stack).preview(on_output=self.log.append)

    def up(self, stack: str, config: Config) -> Mapping[str, Any]:
        """As `pulumi up` in a shell: a preview first."""
        self.preview(stack, config)
        try:
            with _refusals(automation.CommandError):
                outputs = self.stack(stack).up(on_output=self.log.append).outputs
        finally:
            remove_deposit(Aws(self.emulator, str(config["aws:region"])))
        return {name: output.value for name, output in outputs.items()}

    def refresh(self, stack: str) -> None:
        self.stack(stack).refresh(on_output=self.log.append)

    def unprotect(self, stack: str) -> None:
        self.cli("state", "unprotect", "--all", "--yes", "--stack", stack)

    def destroy(self, stack: str) -> None:
        """As `pulumi destroy` in a shell: a preview first. Without it what is not protected would go."""
        with _refusals(automation.CommandError):
            self.stack(stack).preview_destroy(on_output=self.log.append)
            self.stack(stack).destroy(on_output=self.log.append)

    def state(self, stack: str) -> Mapping[str, Known]:
        exported = self.stack(stack).export_stack().deployment or {}
        return {
            f"{each['type']} {each['urn'].split('::', 3)[3]!r}": Known(
                each["id"], _plain(each.get("inputs", {})), each.get("protect", False)
            )
            for each in exported.get("resources", [])
            if each.get("custom") and not each["type"].startswith("pulumi:")
        }

    def cli(self, *arguments: str) -> str:
        """Run one of the CLI's commands; return what it prints."""
        ran = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.engine.folder,
            env={**os.environ, **self.engine.environment},
            check=True,
            capture_output=True,
            text=True,
        )
        return ran.stdout

    def stack(self, stack: str) -> automation.Stack:
        return self.engine.stack(stack)

    def _write(self, stack: str, config: Config) -> None:
        """Write the stack's file as a person would, and leave what the CLI wrote into it."""
        self.stack(stack)
        file = self.engine.folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump({**content, "config": dict(config)}), encoding="utf-8")


@contextmanager
def _refusals(kind: type[Exception]) -> Any:  # noqa: ANN401 -- a context manager's generator
    try:
        yield
    except kind as error:
        raise RefusedError(str(error)) from None


def _plain(value: Any) -> Any:  # noqa: ANN401 -- any input
    """Inputs as both have them: a folder is only its kind, because the two count its digest differently."""
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value or set(value) == {"folder"}:
            return "folder"
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def compared(before: Mapping[str, Known], after: Mapping[str, Known], refused: str, seconds: float) -> Done:
    """Return what is different between two states."""
    both = before.keys() & after.keys()
    replaced = {label for label in both if before[label].id != after[label].id}
    changed = {
        label: frozenset(
            key
            for key in before[label].inputs.keys() | after[label].inputs.keys()
            if _plain(before[label].inputs.get(key)) != _plain(after[label].inputs.get(key))
        )
        for label in both - replaced
    }
    return Done(
        made=frozenset(after.keys() - before.keys()),
        gone=frozenset(before.keys() - after.keys()),
        replaced=frozenset(replaced),
        changed={label: keys for label, keys in changed.items() if keys},
        refused=refused,
        seconds=seconds,
    )


def do(deployer: Deployer, stack: str, action: Callable[[], object]) -> Done:
    """Carry an action out; return what became of the stack's state."""
    before, started, refused = deployer.state(stack), time.monotonic(), ""
    try:
        action()
    except RefusedError as error:
        refused = str(error)
    return compared(before, deployer.state(stack), refused, time.monotonic() - started)


def base_config(stack: str) -> dict[str, Any]:
    """Return a stack's config as its file has it."""
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return dict(content["config"])
