"""The real Pulumi engine on an emulator: its CLI, with a home, a project and a state of its own.

Everything is in one folder that git ignores: what the CLI writes into stack files stays there. The program is
this repository's `__main__.py`, and its `aws` provider is the plugin of this package.
"""

import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pulumi import automation

from local.deploy.packages import local_packages
from local.deploy.settings import project_name
from local.emulator.emulator import ROOT, Emulator
from local.errors import LocalError

WHERE_TO_GET_IT = (
    "the pulumi CLI is not on the PATH: https://www.pulumi.com/docs/install, or build it from its Go module "
    "github.com/pulumi/pulumi/pkg/v3 (command cmd/pulumi)"
)

_PROGRAM = ("__main__.py", "components", "lambdas", "build", ".venv")
"""What the CLI needs to run the program by itself, with its Python language host."""


class Engine:
    """One project folder for the CLI, with every stack's settings copied into it.

    Attributes:
        folder: copies of Pulumi.yaml and the stack files, and links to the program.
        state: where the CLI keeps what it knows of the stacks.
        environment: what a process needs to use the CLI on this emulator.
    """

    def __init__(self, emulator: Emulator, home: Path) -> None:
        """Make the folders anew.

        Raises LocalError as `pulumi_command` does.
        """
        home = home.resolve()
        shutil.rmtree(home, ignore_errors=True)
        self._command = pulumi_command(home)
        self.folder, self.state = home / "project", home / "state"
        for folder in (self.folder, self.state):
            folder.mkdir(parents=True)
        for file in [ROOT / "Pulumi.yaml", *ROOT.glob("Pulumi.*.yaml")]:
            shutil.copy(file, self.folder)
        for name in _PROGRAM:
            (self.folder / name).symlink_to(ROOT / name)
        _install_plugin(home / "pulumi")
        self.environment: Mapping[str, str] = {
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{quote(str(self.state))}",
            "PULUMI_DIY_BACKEND_GZIP": "false",
            "PULUMI_CONFIG_PASSPHRASE": "made up",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_CA_BUNDLE": str(emulator.authority),
            "GDPR_BUILD": "local",
        }

    def stack(self, name: str) -> automation.Stack:
        """The stack, made where it is not yet there; its program runs in this process."""
        return automation.create_or_select_stack(
            name,
            project_name(),
            _program,
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(self.folder), env_vars=dict(self.environment), pulumi_command=self._command
            ),
        )


def pulumi_command(home: Path) -> automation.PulumiCommand:
    """The CLI, which logs into this folder, not into the user's own.

    Raises LocalError where there is none, with where to get it, and where it is too old.
    """
    if shutil.which("pulumi") is None:
        raise LocalError(WHERE_TO_GET_IT)
    before = os.environ.get("PULUMI_HOME")
    os.environ["PULUMI_HOME"] = str(home / "pulumi")  # it is asked for its version in this environment
    try:
        return automation.PulumiCommand()
    except (automation.InvalidVersionError, automation.CommandError, OSError) as error:
        raise LocalError(f"the pulumi CLI on the PATH will not do: {error}") from None
    finally:
        if before is None:
            del os.environ["PULUMI_HOME"]
        else:
            os.environ["PULUMI_HOME"] = before


def _program() -> None:
    with local_packages():
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def _install_plugin(pulumi_home: Path) -> None:
    """Put the plugin where the engine looks for provider `aws` in the version that the program asks for."""
    folder = pulumi_home / "plugins" / f"resource-aws-v{version('pulumi-aws')}"
    folder.mkdir(parents=True)
    plugin = folder / "pulumi-resource-aws"
    command = shlex.join([sys.executable, "-m", "local.provider"])
    plugin.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {command} "$@"\n', encoding="utf-8")
    plugin.chmod(0o700)
