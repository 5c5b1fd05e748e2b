"""`python -m local engine`: an emulator on which the real Pulumi CLI deploys, until Ctrl-C."""

import shlex

from local.emulator.emulator import STATE, Emulator
from local.errors import LocalError
from local.provider.engine import Engine


def engine() -> None:
    """Prepare a project for the CLI, say how to use it in another terminal, and stay until interrupted.

    Raises LocalError without the CLI, and when the emulator ends by itself.
    """
    with Emulator(name="engine") as emulator:
        prepared = Engine(emulator, STATE / "engine")
        print(f"AWS is at {emulator.url}, its log in {emulator.log}. In another terminal:\n")
        for name, value in prepared.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"cd {shlex.quote(str(prepared.folder))}")
        print("pulumi stack init eu-west && pulumi preview && pulumi up")
        print("\nCtrl-C takes everything down.")
        code = emulator.wait()
        raise LocalError(f"the emulator ended by itself with {code}: see {emulator.log}")
