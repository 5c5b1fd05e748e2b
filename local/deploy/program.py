"""Run `__main__.py` of the project through Pulumi's mocks, with the emulator as the cloud."""

import asyncio
import contextlib
import contextvars
import dataclasses
import logging
import runpy
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime import rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.settings import get_root_resource, reset_options
from pulumi.runtime.stack import Stack, run_pulumi_func

from local.deploy.answers import NoAnswerError, answer
from local.deploy.catalogue import CATALOGUE
from local.deploy.changes import (
    certain,
    changed,
    check_change,
    check_deletions,
    check_provider,
    replaced_with,
    state_of,
)
from local.deploy.creator import Aws, Creator, DeploymentError, Existing, Folder, Inputs, Made, plain
from local.deploy.folders import Folders
from local.deploy.services.functions import remove_deposit
from local.deploy.settings import project_name, region_of, stack_config
from local.deploy.state import Recorded, State, opened
from local.emulator.emulator import ROOT, Emulator

_SECONDS = 180
"""A program that raises inside an output can leave the event loop waiting for ever."""

_THREADS = 8


def deploy(emulator: Emulator, stack: str, *, config: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Deploy one stack with its own settings, and return its outputs (secret ones in the clear).

    The first time everything is made; later, on the same emulator, what changed is changed, and what is not
    in the program any more is deleted, as `pulumi up` does it.

    `config` overrides single values of the stack's config.

    Raises DeploymentError for whatever the deployer does not know or the emulator refuses, for a protected
    resource that would have to go, and with the program's own message where it refuses its config or its
    packages. What was done before a failure is remembered: the next deployment goes on from there.
    """
    settings = {**stack_config(stack), **(config or {})}
    aws = Aws(emulator, region_of(stack, settings))
    try:
        return run_program(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"),
            aws,
            project=project_name(),
            stack=stack,
            config=settings,
        )
    except pulumi.RunError as error:  # the CLI shows these without a traceback, too
        raise DeploymentError(str(error)) from None


def run_program(
    program: Callable[[], object], aws: Aws, *, project: str, stack: str, config: Mapping[str, str]
) -> dict[str, Any]:
    """Deploy any Pulumi program as a stack to one region of the emulator, and return what it exports.

    Where the stack is deployed already, the program runs twice: the first time nothing is called, so that
    what has to be refused is refused before anything has changed.

    Several programs can run one after the other in a process: each has its own event loop, context and
    settings.
    """
    folders = Folders()

    def run(cloud: _Cloud) -> dict[str, Any]:
        arguments = (program, cloud, project, stack, dict(config))
        return contextvars.copy_context().run(_run, *arguments)

    with opened(aws.emulator.folder, project=project, stack=stack, region=aws.region) as state:
        if state:
            preview = _Cloud(aws, state, folders, preview=True)
            run(preview)
            preview.check_leaving()
        cloud = _Cloud(aws, state, folders, preview=False)
        try:
            outputs = run(cloud)
        finally:
            remove_deposit(aws)
        cloud.delete_leaving()
        return outputs


def _run(
    program: Callable[[], object], cloud: "_Cloud", project: str, stack: str, config: dict[str, str]
) -> dict[str, Any]:
    reset_options()
    set_all_config(config)
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="deploy")
    loop = asyncio.new_event_loop()
    loop.set_default_executor(executor)
    loop.set_exception_handler(_note_consequence)
    asyncio.set_event_loop(loop)
    try:
        set_mocks(
            cloud,
            project=project,
            stack=stack,
            preview=cloud.preview,
            # What the program says in the preview, it says again when it is carried out.
            logger=logging.Logger("preview", logging.CRITICAL) if cloud.preview else None,
            monitor=_Monitor(cloud),
        )
        return loop.run_until_complete(asyncio.wait_for(_until_done(program), _SECONDS))
    except TimeoutError:
        raise cloud.failure or DeploymentError(
            f"stack {stack!r}: the program did not end within {_SECONDS} s"
        ) from None
    except Exception as error:
        if cloud.failure is not None and cloud.failure is not error:
            raise cloud.failure from None  # the first failure is the cause of all that follow
        if type(error) is Exception:  # a function's answer that the program did not expect
            raise DeploymentError(str(error)) from None
        raise
    finally:
        _end(loop)
        executor.shutdown(wait=True, cancel_futures=True)
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


@dataclass(frozen=True, slots=True)
class _Options:
    """What a registration says besides the inputs."""

    urn: str
    protect: bool
    retain: bool
    dependencies: tuple[str, ...]
    inputs_from: Mapping[str, tuple[str, ...]]
    delete_before_replace: bool


_UNKNOWN_OPTIONS = ("ignoreChanges", "importId", "replaceOnChanges", "deletedWith")
"""Options that change what a second deployment does; the deployer would have to carry them out."""


class _Monitor(MockMonitor):
    """Hands on what the mocks interface leaves out of its arguments."""

    def __init__(self, cloud: "_Cloud") -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 -- the engine's own call
        for option in _UNKNOWN_OPTIONS:
            if getattr(request, option):
                raise self._cloud.fail(
                    DeploymentError(
                        f"{request.type} {request.name!r}: the local deployer does not know option {option}"
                    )
                )
        options = _Options(
            urn=self.make_urn(request.parent, request.type, request.name),
            protect=request.protect,
            retain=request.retainOnDelete,
            dependencies=tuple(request.dependencies),
            inputs_from={
                name: tuple(sorted(from_.urns))
                for name, from_ in request.propertyDependencies.items()
                if from_.urns
            },
            delete_before_replace=request.deleteBeforeReplace,
        )
        with self._cloud.registering(options):
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi has no types here

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 -- the engine's own call
        raise self._cloud.fail(
            DeploymentError(
                f"{request.type} {request.name!r}: the local deployer reads no resource that it did not make"
            )
        )


class _Cloud(Mocks):
    """Brings each resource that the program registers into the emulator as it is wanted.

    Attributes:
        preview: nothing is called; whatever will have to be refused is refused.
        failure: the first thing that went wrong.
    """

    def __init__(self, aws: Aws, state: State, folders: Folders, *, preview: bool) -> None:
        self.preview = preview
        self.failure: DeploymentError | None = None
        self._aws = aws
        self._state = state
        self._folders = folders
        self._staying: set[str] = set()
        self._fallen: set[str] = set()
        self._lock = threading.Lock()
        self._thread = threading.local()

    @contextlib.contextmanager
    def registering(self, options: _Options) -> Iterator[None]:
        """What `new_resource` is called with by this thread has these options."""
        self._thread.options = options
        try:
            yield
        finally:
            del self._thread.options

    def fail(self, failure: DeploymentError) -> DeploymentError:
        """Keep the failure when it is the first, and return it."""
        with self._lock:
            self.failure = self.failure or failure
        return failure

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        with self._errors_named(args.typ, args.name):
            inputs = {
                key: self._whole(rpc.unwrap_rpc_secret(value))
                for key, value in args.inputs.items()
                if value is not None
            }
            if not args.custom:
                return None, _given_back(certain(inputs))
            if args.typ == "pulumi:providers:aws":
                check_provider(args.name, inputs, self._aws.region)
                return f"{args.name}-id", certain(inputs)
            made = self._bring(args.typ, args.name, inputs, self._thread.options)
            state = state_of(self._aws.region, Existing(args.name, made.id, inputs, made.outputs))
            return made.id, _given_back(state)

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        try:
            return answer(self._aws, args.token, self._whole(args.args)), []
        except DeploymentError as error:
            raise self.fail(error) from None
        except (ClientError, NoAnswerError) as error:  # the program may know what to do
            return {}, [("", f"{type(error).__name__}: {error}")]

    def check_leaving(self) -> None:
        """Look whether everything that is not in the program any more may be deleted.

        Raises DeploymentError naming what is protected, or of a type that cannot be deleted here.
        """
        leaving = [each for each in self._state.leaving(self._staying) if not each.retain]
        check_deletions(each for each in leaving if each.urn not in self._fallen)

    def delete_leaving(self) -> None:
        """Delete what is not in the program any more; the first failure ends it.

        Raises DeploymentError naming what the emulator refuses to delete.
        """
        self.check_leaving()
        for each in self._state.leaving(self._staying):
            self._delete(each)

    def _delete(self, recorded: Recorded) -> None:
        delete = CATALOGUE[recorded.token].delete
        if delete is not None and not recorded.retain:
            with self._errors_named(recorded.token, recorded.name):
                delete(self._aws, recorded.existing)
        self._state.remove(recorded)

    def _bring(self, token: str, name: str, inputs: Inputs, options: _Options) -> Made:
        creator = CATALOGUE.get(token)
        if creator is None:
            raise DeploymentError(
                f"{token} {name!r}: the local deployer does not know this type; "
                "add a creator in local/deploy/services"
            )
        creator.check(self._aws, name, inputs)
        with self._lock:
            if self.failure:  # nothing new begins after a failure
                raise DeploymentError(str(self.failure))
            if options.urn in self._staying:
                raise DeploymentError(f"{token} {name!r}: the program has two of this type and name")
            self._staying.add(options.urn)
        before = self._state.get(options.urn) if options.urn not in self._fallen else None
        changes = changed(creator, before.inputs, inputs) if before else frozenset()
        replace = bool(changes & creator.replacing)
        if before:
            check_change(creator, before.label, changes)
            if replace and before.protect:
                raise DeploymentError(
                    f"{before.label} cannot be replaced because it is protected, and "
                    f"{', '.join(sorted(changes))} cannot be changed in place"
                )
        if before and replace and options.delete_before_replace:
            self._delete_first(before)
            before, replace, changes = None, False, frozenset()
        if self.preview:
            return before.existing.unchanged if before and not replace else Made("")
        made = self._carry_out(creator, name, inputs, before, changes)
        now = Recorded(
            urn=options.urn,
            token=token,
            name=name,
            id=made.id,
            inputs=plain(inputs),
            outputs=made.outputs,
            protect=options.protect,
            retain=options.retain,
            dependencies=options.dependencies,
            inputs_from=options.inputs_from,
        )
        if before and replace:
            self._state.put(dataclasses.replace(before, replaced=True), now)
        elif now != before:
            self._state.put(now)
        return made

    def _delete_first(self, recorded: Recorded) -> None:
        """Delete a resource before its replacement is made, and before it whatever is replaced with it.

        As in Pulumi's engine (`calculateDependentReplacements`), that is also what is in the program no more.
        """
        falling = [
            each
            for each in self._state.falling_with(recorded, replaced_with)
            if each.urn == recorded.urn or each.urn not in self._staying
        ]
        check_deletions(falling)
        self._fallen.update(each.urn for each in falling)
        if not self.preview:
            for each in falling:
                self._delete(each)

    def _carry_out(
        self,
        creator: Creator,
        name: str,
        inputs: Inputs,
        before: Recorded | None,
        changes: frozenset[str],
    ) -> Made:
        if before is None or changes & creator.replacing:
            return creator.create(self._aws, name, inputs)
        if changes and creator.update:
            return creator.update(self._aws, before.existing, inputs)
        return before.existing.unchanged

    @contextlib.contextmanager
    def _errors_named(self, token: str, name: str) -> Iterator[None]:
        try:
            yield
        except DeploymentError as error:
            raise self.fail(error) from None
        except (ClientError, BotoCoreError, KeyError, OSError) as error:
            what = f"{token} {name!r}" if name else token
            raise self.fail(DeploymentError(f"{what}: {type(error).__name__}: {error}")) from error

    def _whole(self, value: Any) -> Any:
        """Integers as integers again, for the engine's protocol has only floats; archives as folders."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, pulumi.FileArchive):
            return self._folders.get(value.path)
        if isinstance(value, dict):
            return {key: self._whole(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._whole(inner) for inner in value]
        return value


def _given_back(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: pulumi.FileArchive(str(value.path)) if isinstance(value, Folder) else value
        for key, value in values.items()
    }
