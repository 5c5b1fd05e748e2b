"""`python -m local`: build the Lambda packages, bring regions up on this machine, work with them, demo."""

import argparse
import contextlib
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from local.errors import LocalError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Line by line into files and pipes, too: somebody may be reading along.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with _interruptible():
            return int(options.run(options) or 0)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    builder = commands.add_parser(
        "build",
        help="build the Lambda packages into build/<target>",
        description="Build the Lambda packages. One that is up to date is left alone.",
    )
    builder.add_argument(
        "target",
        nargs="?",
        default="local",
        choices=["local", "production", "all"],
        help="production: arm64 and Python 3.13, as on AWS; local: this machine (default: %(default)s)",
    )
    builder.set_defaults(run=_build)

    up = commands.add_parser(
        "up",
        help="deploy stacks on an AWS on this machine, and stay until Ctrl-C",
        description="Start the emulator, deploy the stacks, write .local/<stack>.json for clients, and stay "
        "in the foreground. Ctrl-C takes everything down; nothing is kept.",
    )
    up.add_argument("stack", nargs="*", help="stacks to deploy (default: every Pulumi.<stack>.yaml)")
    up.set_defaults(run=_up)

    engine = commands.add_parser(
        "engine",
        help="let the real Pulumi CLI deploy on an AWS on this machine, until Ctrl-C",
        description="Start the emulator, prepare a project, a state and the provider plugin for the pulumi "
        "CLI in .local/engine, print what another terminal needs to use them, and stay in the foreground.",
    )
    engine.set_defaults(run=_engine)

    reindexer = commands.add_parser(
        "reindex",
        help="compare the index of a stack that is up with its objects, and put it right",
        description="Start the reindex workflow of a stack that `up` keeps up in another terminal, wait, and "
        "print every difference. Exit code 0 only if none remains.",
    )
    reindexer.add_argument("stack", help="a stack that is up")
    reindexer.add_argument("customer", nargs="?", help="one of its customers (default: all)")
    reindexer.add_argument("--dry-run", action="store_true", help="compare and report, put nothing right")
    reindexer.set_defaults(run=_reindex)
    again = commands.add_parser(
        "redrive",
        help="have the requests that failed in a run taken up again",
        description="Make the requests that ended failed in a run pending again and start a run, in a stack "
        "that `up` keeps up. Mend first what made them fail.",
    )
    again.add_argument("stack")
    again.add_argument("customer", help="the customer's id")
    again.add_argument("run_id", help="the run, as a failed request names it")
    again.set_defaults(run=_redrive)

    ending = commands.add_parser(
        "contract-end",
        help="end a customer's contract, or count what its end would destroy",
        description="Start the workflow of a contract's end in a stack that `up` keeps up. It destroys all "
        "data of the customer if the contract and its grace days are over, and otherwise nothing.",
    )
    ending.add_argument("customer", help="the customer's id")
    ending.add_argument("--stack", help="a stack that is up (default: the one that has the customer)")
    ending.add_argument("--dry-run", action="store_true", help="count what would go, destroy nothing")
    ending.set_defaults(run=_contract_end)

    demo = commands.add_parser(
        "demo",
        help="erase one person and correct another, with the proof",
        description="Two regions up, data in, an erasure and a correction over HTTP, and a search that the "
        "erased identifiers are nowhere. Exit code 0 only if every step is what it says.",
    )
    demo.add_argument("--seed", type=int, default=7, help="seed of the generated data (default: %(default)s)")
    demo.set_defaults(run=_demo)
    return parser


# What a command works with is imported by the command: it takes a while, and signals are heeded by then.


def _build(options: argparse.Namespace) -> None:
    from local.build import TARGETS, build

    for target in TARGETS:
        if options.target in (target, "all"):
            build(target)


def _up(options: argparse.Namespace) -> None:
    from local.commands.up import up

    with contextlib.suppress(KeyboardInterrupt):
        up(options.stack)


def _engine(_options: argparse.Namespace) -> None:
    from local.commands.engine import engine

    with contextlib.suppress(KeyboardInterrupt):
        engine()


def _reindex(options: argparse.Namespace) -> int:
    from local.commands.reindex import reindex

    return reindex(options.stack, options.customer, dry_run=options.dry_run)


def _redrive(options: argparse.Namespace) -> None:
    from local.commands.redrive import redrive
    from local.stacks import Stack

    answer = redrive(Stack.read(options.stack), options.customer, options.run_id)
    run = f"run {answer['run_id']} takes them up" if answer["run_id"] else "the next run takes them up"
    print(f"{answer['requests']} requests are pending again; {run}")
    if answer["superseded"]:
        print(f"{answer['superseded']} corrections stay failed: newer ones about the same people came since")


def _contract_end(options: argparse.Namespace) -> int:
    from local.commands.contract_end import contract_end

    return contract_end(options.customer, options.stack, dry_run=options.dry_run)


def _demo(options: argparse.Namespace) -> int:
    from local.demo.story import demo

    return demo(seed=options.seed)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP (a closed terminal) raise KeyboardInterrupt meanwhile, to end `with` blocks.

    Python does this by itself for SIGINT only, and not even for that in a process that was started with
    SIGINT ignored, as a script starts what it puts into the background. After the first signal the next ones
    are ignored: they would interrupt the taking down.
    """
    heeded = [n for n in _ENDING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, _interrupt) or signal.SIG_DFL for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
