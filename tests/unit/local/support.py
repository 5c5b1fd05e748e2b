"""Stacks of small programs, deployed again and again on the module's emulator; processes that are left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.deploy.creator import Aws
from local.deploy.program import run_program
from local.deploy.refreshing import refresh
from local.emulator.emulator import Emulator

REGION = "eu-west-1"

Program = Callable[[], None]


class Stack:
    """A stack of one test on the module's emulator."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self.emulator = emulator
        self.name = name

    def deploy(self, program: Program, region: str = REGION) -> dict[str, Any]:
        return run_program(
            program,
            Aws(self.emulator, region),
            project="p",
            stack=self.name,
            config={"aws:region": region},
        )

    def refresh(self) -> list[str]:
        return refresh(Aws(self.emulator, REGION), project="p", stack=self.name)

    def client(self, service: str) -> Any:  # noqa: ANN401 -- any service's client
        return self.emulator.client(service, REGION)


def trusting(service: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}],
        }
    )


def allowing(action: str) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
    )


def nothing() -> None:
    pass


def alive(group: int) -> bool:
    """Whether a process of the group is left that is not a zombie."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
