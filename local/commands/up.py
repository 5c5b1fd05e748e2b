"""`python -m local up`: keep regions up on this machine until Ctrl-C."""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from local.build import build
from local.deploy.creator import DeploymentError
from local.deploy.settings import stack_names
from local.emulator.emulator import CONCURRENCY, Emulator
from local.errors import LocalError
from local.stacks import Stack, deploy_stack, keeping_up


@contextlib.contextmanager
def regions(
    stacks: Sequence[str] = (),
    *,
    record_trail: bool = False,
    name: str = "emulator",
    waits: float = 1,
    concurrency: int = CONCURRENCY,
    configs: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[tuple[Emulator, list[Stack]]]:
    """An emulator with the named stacks (default: all) deployed; both are gone afterwards.

    `configs` override, by stack, single values of its config. The others are the emulator's: whether it
    records a trail, what its log is called, what part of their time state machines wait, and how many
    functions are at work at once.

    Raises LocalError for an unknown stack.
    """
    wanted = _known(stacks)
    with Emulator(record_trail=record_trail, name=name, waits=waits, concurrency=concurrency) as emulator:
        yield emulator, [deploy_stack(emulator, stack, config=configs.get(stack)) for stack in wanted]


def up(stacks: Sequence[str]) -> None:
    """Deploy the stacks, say how to reach them, and stay until interrupted.

    Raises LocalError when one of them is up already, and when the emulator ends by itself.
    """
    wanted = _known(stacks)
    build("local")
    started = time.monotonic()
    with contextlib.ExitStack() as held:
        for stack in wanted:
            held.enter_context(keeping_up(stack))
        emulator, deployed = held.enter_context(regions(wanted, name=f"up-{'-'.join(wanted)}"))
        print(f"up in {time.monotonic() - started:.1f} s: AWS at {emulator.url}, its log in {emulator.log}")
        files = [stack.write() for stack in deployed]
        try:
            for each in deployed:
                print(how_to_call(each))
            print("\nCtrl-C takes everything down.")
            code = emulator.wait()
            raise LocalError(f"the emulator ended by itself with {code}: see {emulator.log}")
        finally:
            for file in files:
                file.unlink(missing_ok=True)


def _known(stacks: Sequence[str]) -> Sequence[str]:
    known = stack_names()
    if unknown := sorted(set(stacks) - set(known)):
        raise DeploymentError(f"no stack {', '.join(unknown)}: there are {', '.join(known)}")
    return stacks or known


def how_to_call(stack: Stack) -> str:
    """Return first calls of a stack to copy into a shell, whatever its paths look like."""
    health = shlex.join(["curl", "--cacert", stack.authority, f"{stack.api_url}/v1/health"])
    lines = [
        f"\n{stack.name} ({stack.region}); what a client needs is in .local/{stack.name}.json",
        f"  {health}",
    ]
    customer = next((customer for customer, programs in stack.clients.items() if programs), None)
    if not stack.clients:
        lines.append("  no customer yet: add one to gdpr:customers, to call anything else")
    elif customer is None:
        lines.append("  no customer has a program yet: give one to gdpr:customers, to call anything else")
    else:
        asked = f'Stack.read("{stack.name}").client("{customer}").requests()'
        program = f"from local.stacks import Stack; print({asked})"
        lines.append(f"  {shlex.join([sys.executable, '-c', program])}")
    return "\n".join(lines)
