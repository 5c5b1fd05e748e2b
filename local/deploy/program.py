"""Run `__main__.py` of the project through Pulumi's mocks, with the emulator as the cloud."""

import asyncio
import contextvars
import logging
import runpy
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.settings import get_root_resource, reset_options
from pulumi.runtime.stack import Stack, run_pulumi_func

from local.deploy.catalogue import CATALOGUE
from local.deploy.creator import Aws, DeploymentError
from local.deploy.services.functions import remove_deposit
from local.deploy.settings import project_name, stack_config
from local.emulator import ROOT, Emulator

_SECONDS = 180
"""A program that raises inside an output can leave the event loop waiting for ever."""

_THREADS = 8


def deploy(emulator: Emulator, stack: str, *, config: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Deploy one stack with its own settings, and return its outputs (secret ones in the clear).

    `config` overrides single values of the stack's config.

    Raises DeploymentError for whatever the deployer does not know or the emulator refuses, and with the
    program's own message where it refuses its config or its packages.
    """
    settings = {**stack_config(stack), **(config or {})}
    region = settings.get("aws:region")
    if not region:
        raise DeploymentError(f"Pulumi.{stack}.yaml: aws:region is not set")
    try:
        return run_program(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
            Aws(emulator, region),
            project=project_name(),
            stack=stack,
            config=settings,
        )
    except pulumi.RunError as error:  # the CLI shows these without a traceback, too
        raise DeploymentError(str(error)) from None


def run_program(
    program: Callable[[], object], aws: Aws, *, project: str, stack: str, config: Mapping[str, str]
) -> dict[str, Any]:
    """Run any Pulumi program against one region of the emulator, and return what it exports.

    Several programs can run one after the other in a process: each has its own event loop, context and
    settings.
    """
    return contextvars.copy_context().run(_run, program, aws, project, stack, dict(config))


def _run(
    program: Callable[[], object], aws: Aws, project: str, stack: str, config: dict[str, str]
) -> dict[str, Any]:
    cloud = _Cloud(aws)
    reset_options()
    set_all_config(config)
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="deploy")
    loop = asyncio.new_event_loop()
    loop.set_default_executor(executor)
    loop.set_exception_handler(_note_consequence)
    asyncio.set_event_loop(loop)
    try:
        set_mocks(cloud, project=project, stack=stack, preview=False)
        return loop.run_until_complete(asyncio.wait_for(_until_done(program), _SECONDS))
    except TimeoutError:
        raise cloud.failure or DeploymentError(
            f"stack {stack!r}: the program did not end within {_SECONDS} s"
        ) from None
    except Exception as error:
        if cloud.failure is not None and cloud.failure is not error:
            raise cloud.failure from None  # the first failure is the cause of all that follow
        raise
    finally:
        _end(loop)
        executor.shutdown(wait=True, cancel_futures=True)
        remove_deposit(aws)
        asyncio.set_event_loop(None)
        set_all_config({})
        reset_options()


def _note_consequence(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # What fails because a resource failed: the cause is raised, and these would only hide it.
    logging.getLogger(__name__).debug("%s", context.get("message"))


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close the loop after every task on it has ended; a failed program leaves many waiting."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


async def _until_done(program: Callable[[], object]) -> dict[str, Any]:
    def start() -> None:
        program()

    await run_pulumi_func(start)
    root = get_root_resource()
    if not isinstance(root, Stack):
        raise DeploymentError("the program left no stack behind")
    exported: pulumi.Output[Any] = pulumi.Output.from_input(root.outputs)
    outputs = await exported.future()
    return dict(outputs or {})


class _Cloud(Mocks):
    """Creates each resource that the program registers, in the emulator."""

    def __init__(self, aws: Aws) -> None:
        self.failure: DeploymentError | None = None
        self._aws = aws
        self._lock = threading.Lock()

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = {key: _whole(value) for key, value in args.inputs.items() if value is not None}
        try:
            return self._create(args, inputs)
        except DeploymentError as error:
            self._fail(error)
            raise
        except (ClientError, BotoCoreError, KeyError) as error:
            failure = DeploymentError(f"{args.typ} {args.name!r}: {type(error).__name__}: {error}")
            self._fail(failure)
            raise failure from error

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        aws = self._aws
        answers: dict[str, Callable[[], dict[str, Any]]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": lambda: _caller(aws),
            "aws:index/getRegion:getRegion": lambda: {
                "id": aws.region,
                "name": aws.region,
                "region": aws.region,
            },
            "aws:index/getPartition:getPartition": lambda: {
                "id": "aws",
                "partition": "aws",
                "dnsSuffix": "amazonaws.com",
            },
        }
        if args.token not in answers:
            failure = DeploymentError(f"{args.token}: the local deployer does not know this function")
            self._fail(failure)
            raise failure
        return answers[args.token](), []

    def _create(self, args: MockResourceArgs, inputs: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        if not args.custom:
            return None, inputs
        if args.typ == "pulumi:providers:aws":
            _check_provider(args.name, inputs, self._aws.region)
            return f"{args.name}-id", inputs
        creator = CATALOGUE.get(args.typ)
        if creator is None:
            raise DeploymentError(
                f"{args.typ} {args.name!r}: the local deployer does not know this type; "
                "add a creator in local/deploy/services"
            )
        made = creator(self._aws, args.name, inputs)
        tags = {"tagsAll": inputs["tags"]} if "tags" in inputs else {}
        return made.id, {"region": self._aws.region, **inputs, **tags, **made.outputs}

    def _fail(self, failure: DeploymentError) -> None:
        with self._lock:
            self.failure = self.failure or failure


def _whole(value: Any) -> Any:
    """Integers as integers again: the engine's protocol has only floating-point numbers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return value


def _caller(aws: Aws) -> dict[str, Any]:
    identity = aws.client("sts").get_caller_identity()
    return {
        "id": identity["Account"],
        "accountId": identity["Account"],
        "arn": identity["Arn"],
        "userId": identity["UserId"],
    }


def _check_provider(name: str, inputs: Mapping[str, Any], region: str) -> None:
    known = {"region", "skipCredentialsValidation", "skipRegionValidation", "allowedAccountIds", "version"}
    if unknown := sorted(set(inputs) - known):
        raise DeploymentError(f"pulumi:providers:aws {name!r}: {', '.join(unknown)} is not known here")
    if inputs.get("region", region) != region:
        raise DeploymentError(
            f"pulumi:providers:aws {name!r}: region {inputs['region']!r} is not the stack's {region!r}"
        )
