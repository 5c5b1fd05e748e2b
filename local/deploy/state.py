"""What a stack's deployments have made on one emulator, so that the next one changes just the rest.

The state is a file in the emulator's own folder: it ends with the emulator, only this user can read it
(inputs and outputs hold client secrets), and another process can go on from it. Each step is a line that is
written when the step is done, so that a deployment that fails or is killed leaves what it did.
"""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local.deploy.creator import DeploymentError, Existing, Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One resource.

    Attributes:
        urn: type, name and parent's type.
        token: Pulumi's type token.
        name: its name in the program.
        id: its id in AWS.
        inputs: what the program asked for, as `creator.plain` has it.
        outputs: what came on top of the inputs.
        protect: whether the program protected it from deletion.
        retain: whether it stays when it leaves the program.
        dependencies: URNs of the resources that it needs; it is deleted before them.
        inputs_from: of each input that came from other resources, their URNs.
        replaced: a newer one took its place in the program, and this one is still to be deleted.
    """

    urn: str
    token: str
    name: str
    id: str
    inputs: Inputs
    outputs: Mapping[str, Any]
    protect: bool
    retain: bool
    dependencies: tuple[str, ...]
    inputs_from: Mapping[str, tuple[str, ...]]
    replaced: bool = False

    @property
    def key(self) -> str:
        """Unlike the URN, unique in a state: one resource may replace several that are still there."""
        return f"{self.urn}::{self.id}" if self.replaced else self.urn

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"{self.token} {self.name!r}"

    @property
    def existing(self) -> Existing:
        """The same for a creator."""
        return Existing(self.name, self.id, self.inputs, self.outputs)


class State:
    """The resources of one stack on one emulator, in the order in which they were made."""

    def __init__(self, file: Path, region: str) -> None:
        """Read the file, or begin one.

        Raises DeploymentError for a stack that is in another region: Pulumi would replace all of it.
        """
        self._file = file
        self._lock = threading.Lock()
        self._resources: dict[str, Recorded] = {}
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
        for line in lines:
            if line.endswith("\n"):  # a killed deployment may leave half a line: that step was not recorded
                self._take(json.loads(line), region)
        self._write_afresh(region)

    def __bool__(self) -> bool:
        """Whether anything is deployed."""
        return bool(self._resources)

    @property
    def resources(self) -> list[Recorded]:
        """All of them, in the order in which they were made."""
        return list(self._resources.values())

    def get(self, urn: str) -> Recorded | None:
        """The resource that has this URN now."""
        return self._resources.get(urn)

    def put(self, *resources: Recorded) -> None:
        """Record resources, all in one step; a known one keeps its place in the order."""
        with self._lock:
            self._append(_line(recorded.key, recorded) for recorded in resources)
            self._resources.update((recorded.key, recorded) for recorded in resources)

    def remove(self, recorded: Recorded) -> None:
        """Record that a resource is gone."""
        with self._lock:
            self._append([_line(recorded.key, None)])
            del self._resources[recorded.key]

    def leaving(self, staying: Iterable[str]) -> list[Recorded]:
        """What is neither among these URNs nor the newest of its URN, in the order to delete it.

        The last made goes first, and nothing before what depends on it.
        """
        kept = set(staying)
        return _dependents_first(
            [each for each in self._resources.values() if each.replaced or each.urn not in kept]
        )

    def falling_with(self, recorded: Recorded, must_go: Callable[[Recorded, str], bool]) -> list[Recorded]:
        """What has to be deleted before a resource is, and that resource last.

        That is every resource with an input from one of them, where `must_go` says of the resource and the
        input's name that it cannot be changed in place.
        """
        with self._lock:
            known = list(self._resources.values())
        falling = {recorded.urn: recorded}
        grown = True
        while grown:
            found = {
                each.urn: each
                for each in known
                if not each.replaced
                and each.urn not in falling
                and any(must_go(each, name) for name in _inputs_from(each, falling.keys()))
            }
            falling |= found
            grown = bool(found)
        return _dependents_first(list(falling.values()))

    def _take(self, line: Mapping[str, Any], region: str) -> None:
        if "region" in line:
            if line["region"] != region:
                raise DeploymentError(
                    f"the stack is deployed to {line['region']} and cannot move to {region}: "
                    "start the emulator afresh"
                )
        elif line["resource"] is None:
            self._resources.pop(line["key"], None)
        else:
            facts = line["resource"]
            facts["dependencies"] = tuple(facts["dependencies"])
            facts["inputs_from"] = {name: tuple(urns) for name, urns in facts["inputs_from"].items()}
            self._resources[line["key"]] = Recorded(**facts)

    def _write_afresh(self, region: str) -> None:
        draft = self._file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with _private(draft) as out:
            out.write(json.dumps({"region": region}) + "\n")
            out.writelines(_line(recorded.key, recorded) for recorded in self._resources.values())
        draft.replace(self._file)

    def _append(self, lines: Iterable[str]) -> None:
        with _private(self._file) as out:
            out.write("".join(lines))


@contextlib.contextmanager
def opened(folder: Path, *, project: str, stack: str, region: str) -> Iterator[State]:
    """A stack's state, for one deployment at a time.

    Raises DeploymentError when another deployment of the stack is going on, and when it is in another region.
    """
    file = folder / f"{project}.{stack}.state"
    with _private(file.with_suffix(".lock")) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process, however it ends
        except BlockingIOError:
            raise DeploymentError(f"stack {stack!r}: another deployment of it is going on") from None
        yield State(file, region)


def _inputs_from(recorded: Recorded, urns: Collection[str]) -> list[str]:
    return [name for name, theirs in recorded.inputs_from.items() if not set(theirs).isdisjoint(urns)]


def _dependents_first(resources: Sequence[Recorded]) -> list[Recorded]:
    """The last made first, and nothing before what depends on it."""
    ordered: dict[str, Recorded] = {}

    def take(recorded: Recorded, path: frozenset[str]) -> None:
        if recorded.key in ordered or recorded.key in path:
            return
        for other in reversed(resources):
            if recorded.urn in other.dependencies:
                take(other, path | {recorded.key})
        ordered[recorded.key] = recorded

    for recorded in reversed(resources):
        take(recorded, frozenset())
    return list(ordered.values())


def _line(key: str, recorded: Recorded | None) -> str:
    return json.dumps({"key": key, "resource": None if recorded is None else asdict(recorded)}) + "\n"


@contextlib.contextmanager
def _private(file: Path) -> Iterator[Any]:
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8"
    ) as out:
        yield out
