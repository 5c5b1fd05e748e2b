"""Bring what is recorded of a stack in line with what AWS has, as `pulumi refresh` does."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from local.deploy.catalogue import CATALOGUE
from local.deploy.creator import Aws, DeploymentError, Existing
from local.deploy.settings import project_name, region_of, stack_config
from local.deploy.state import Recorded, opened
from local.emulator.emulator import Emulator

_THREADS = 8


def refresh_stack(emulator: Emulator, stack: str) -> list[str]:
    """Refresh one stack that was deployed with its own settings; see `refresh`."""
    aws = Aws(emulator, region_of(stack, stack_config(stack)))
    return refresh(aws, project=project_name(), stack=stack)


def refresh(aws: Aws, *, project: str, stack: str) -> list[str]:
    """Look for each recorded resource in AWS, and return the labels of those that are gone, the oldest first.

    What is gone leaves the state, protected or not: protection is from the deployer, not from others, and
    the next deployment makes it anew if the program still has it. Where something else changed what the
    program declared, and the type's `read` looks for that, the state takes it up, so that the next
    deployment changes it back. Nothing in AWS is changed.

    Raises DeploymentError naming the resource that cannot be read, for a stack that is in another region,
    and while a deployment of the stack is going on. Then the state is as it was.
    """
    with opened(aws.emulator.folder, project=project, stack=stack, region=aws.region) as state:
        resources = state.resources
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="refresh") as threads:
            found = list(threads.map(lambda recorded: _read(aws, recorded), resources))
        gone = []
        for recorded, existing in zip(resources, found, strict=True):
            if existing is None:
                state.remove(recorded)
                gone.append(recorded.label)
            elif existing != recorded.existing:
                state.put(
                    dataclasses.replace(
                        recorded, id=existing.id, inputs=existing.inputs, outputs=existing.outputs
                    )
                )
        return gone


def _read(aws: Aws, recorded: Recorded) -> Existing | None:
    try:
        return CATALOGUE[recorded.token].read(aws, recorded.existing)
    except (ClientError, BotoCoreError, KeyError) as error:
        raise DeploymentError(f"{recorded.label}: {type(error).__name__}: {error}") from error
