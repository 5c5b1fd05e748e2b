"""`python -m local up`: keep regions up on this machine until Ctrl-C."""

import contextlib
import fcntl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from local.build import build
from local.deploy.creator import DeploymentError
from local.deploy.settings import stack_names
from local.emulator.emulator import STATE, Emulator
from local.errors import LocalError
from local.stacks import Stack, deploy_stack


@contextlib.contextmanager
def regions(
    stacks: Sequence[str] = (),
    *,
    record_trail: bool = False,
    name: str = "emulator",
    waits: float = 1,
    configs: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[tuple[Emulator, list[Stack]]]:
    """An emulator with the named stacks (default: all) deployed; both are gone afterwards.

    `configs` override, by stack, single values of its config. The others are the emulator's: whether it
    records a trail, what its log is called, and what part of their time state machines wait.

    Raises LocalError for an unknown stack.
    """
    wanted = _known(stacks)
    with Emulator(record_trail=record_trail, name=name, waits=waits) as emulator:
        yield emulator, [deploy_stack(emulator, stack, config=configs.get(stack)) for stack in wanted]


def up(stacks: Sequence[str]) -> None:
    """Deploy the stacks, say how to reach them, and stay until interrupted.

    Raises LocalError when one of them is up already, and when the emulator ends by itself.
    """
    wanted = _known(stacks)
    build("local")
    started = time.monotonic()
    with _alone(wanted), regions(wanted, name=f"up-{'-'.join(wanted)}") as (emulator, deployed):
        print(f"up in {time.monotonic() - started:.1f} s: AWS at {emulator.url}, its log in {emulator.log}")
        files = [stack.write() for stack in deployed]
        try:
            for stack in deployed:
                print(_how_to_call(stack))
            print("\nCtrl-C takes everything down.")
            code = emulator.wait()
            raise LocalError(f"the emulator ended by itself with {code}: see {emulator.log}")
        finally:
            for file in files:
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(stacks: Sequence[str]) -> Iterator[None]:
    """Keep others from bringing the same stacks up meanwhile: they would take each other's files away."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as held:
        for stack in stacks:
            lock = held.enter_context((STATE / f"{stack}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process, however it ends
            except BlockingIOError:
                raise LocalError(f"{stack} is up already: end the other `up` first (Ctrl-C)") from None
        yield


def _known(stacks: Sequence[str]) -> Sequence[str]:
    known = stack_names()
    if unknown := sorted(set(stacks) - set(known)):
        raise DeploymentError(f"no stack {', '.join(unknown)}: there are {', '.join(known)}")
    return stacks or known


def _how_to_call(stack: Stack) -> str:
    customer = next(iter(stack.clients))
    program = (
        f'from local.stacks import Stack; print(Stack.read("{stack.name}").client("{customer}").requests())'
    )
    return f"""
{stack.name} ({stack.region}); what a client needs is in .local/{stack.name}.json
  curl --cacert {stack.authority} {stack.api_url}/v1/health
  {sys.executable} -c '{program}'"""
