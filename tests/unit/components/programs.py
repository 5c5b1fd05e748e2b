"""Pulumi programs run against mocks, with what they declared kept for the tests to look at."""

import asyncio
import contextvars
import copy
import importlib
import inspect
import json
import os
import runpy
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pulumi
import yaml
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import get_root_resource, reset_options
from pulumi.runtime.stack import run_pulumi_func

with warnings.catch_warnings():
    # The provider's package warns of its own old names when it is loaded.
    warnings.simplefilter("ignore", DeprecationWarning)
    import pulumi_aws

    # The packages load when they are first used.
    LOADED = (pulumi_aws.lambda_.Function, pulumi_aws.s3.Bucket)

from components import region
from components.api.identity import Identity, IdentityArgs
from components.contracts.clock import ContractClock, ContractClockArgs
from components.functions import packages
from components.ground import Ground
from components.iam.purposes import PURPOSES
from components.naming import RegionNames
from components.settings.settings import Settings, parse_settings
from components.shared.tables import Registry, RegistryArgs
from components.vaults.vault import customer_vaults

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "123456789012"
STACKS = ("eu-west", "us-east")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""What programs take for the present moment: before every day of the contracts in the stacks' files."""

GROUND = Ground(
    names=RegionNames(project="gdpr", stack="eu-west", account=ACCOUNT, region="eu-west-1"),
    boundary_arn="arn:boundary",
    region_key_arn="arn:key",
    dead_letters_arn="arn:dead-letters",
)
"""What a single component of the stack eu-west stands on."""

_SECONDS = 60
"""A program that raises inside an output can leave the event loop waiting for ever."""


@dataclass(frozen=True)
class Made:
    """A resource as the program registered it."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: Mapping[str, Any]
    protect: bool
    dependencies: tuple[str, ...]
    inputs_from: Mapping[str, tuple[str, ...]]
    custom: bool

    def document(self, key: str = "policy") -> Any:  # noqa: ANN401 -- whatever the document is
        """Return a property that holds JSON."""
        return json.loads(self.inputs[key])


@dataclass
class Deployment:
    """What a program made."""

    region: str = ""
    prefix: str = ""
    made: list[Made] = field(default_factory=list)
    finished: Counter[str] = field(default_factory=Counter)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)

    def of(self, type_: str) -> list[Made]:
        """Return all resources of a type."""
        found = [made for made in self.made if made.type == type_]
        assert found, f"nothing of type {type_}"
        return found

    def named(self, type_: str, value: str, key: str = "name") -> Made:
        """Return the one resource of a type whose physical name is this."""
        (found,) = [made for made in self.of(type_) if made.inputs.get(key) == value]
        return found

    def rights(self, role: str) -> dict[str, list[str]]:
        """Return the actions that a role's own policy has, each with its resources."""
        (policy,) = [made for made in self.of("aws:iam/rolePolicy:RolePolicy") if made.inputs["role"] == role]
        return {
            action: statement["Resource"]
            for statement in policy.document()["Statement"]
            for action in statement["Action"]
        }


class _Cloud(Mocks):
    """Gives each resource the ids and ARNs that AWS would."""

    def __init__(
        self,
        buckets: Mapping[str, Mapping[str, Any]],
        tables: Mapping[str, Mapping[str, Any]],
        keys: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._buckets = buckets
        self._tables = tables
        self._keys = keys

    def call(self, args: MockCallArgs) -> dict[str, Any] | tuple[dict[str, Any], list[tuple[str, str]]]:
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": ACCOUNT, "arn": "", "id": ACCOUNT, "userId": ""}
            case "aws:resourcegroupstaggingapi/getResources:getResources":
                assert args.args["resourceTypeFilters"] == ["s3"]
                (wanted,) = args.args["tagFilters"]
                found = [
                    {"resourceArn": f"arn:aws:s3:::{bucket}", "tags": facts["tags"]}
                    for bucket, facts in self._buckets.items()
                    if wanted["key"] in facts["tags"]
                    and facts["tags"][wanted["key"]] in wanted.get("values", facts["tags"].values())
                ]
                return {"id": "found", "resourceTagMappingLists": found}
            case "aws:s3/getObjects:getObjects":
                keys = self._buckets[args.args["bucket"]]["keys"]
                if keys is None:
                    return {}, [("", "api error NoSuchBucket: The specified bucket does not exist")]
                return {"id": args.args["bucket"], "keys": keys[: int(args.args["maxKeys"])]}
            case "aws:dynamodb/getTables:getTables":
                return {"id": "found", "names": list(self._tables)}
            case "aws:dynamodb/getTableItem:getTableItem":
                key = json.loads(args.args["key"])["pk"]["S"]
                item = self._tables[args.args["tableName"]].get(key)
                if item is None:
                    return {}, [("", "reading DynamoDB Table Item: empty result")]
                return {"id": key, "item": json.dumps(item)}
            case "aws:kms/getKey:getKey":
                state = self._keys[args.args["keyId"]]
                if state == "gone":
                    return {}, [("", "reading KMS Key: NotFoundException: Key is not found")]
                return {"id": args.args["keyId"], "keyState": state}
            case other:
                raise AssertionError(other)

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        known = args.inputs.get("name") or args.inputs.get("bucket") or args.name
        answers = {
            "arn": f"arn:mock:{args.typ.split(':')[-1]}:{known}",
            "keyId": f"{args.name}-key-id",
            "url": f"https://queue.example/{known}",
            "invokeArn": f"arn:mock:invoke:{known}",
            "executionArn": f"arn:mock:execute-api:{known}",
            "rootResourceId": "root",
            "invokeUrl": "https://api.example/live",
            "clientSecret": "secret",
        }
        return f"{args.name}-id", {**answers, **args.inputs} if args.custom else dict(args.inputs)


class _Monitor(MockMonitor):
    def __init__(self, deployment: Deployment, cloud: _Cloud) -> None:
        super().__init__(cloud)
        self._deployment = deployment

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 -- the engine's own call
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            registered = self.resources[answer.urn]
            inputs = {key: value for key, value in registered.state.items() if key in request.object.fields}
            self._deployment.made.append(
                Made(
                    type=request.type,
                    name=request.name,
                    urn=answer.urn,
                    parent=request.parent,
                    inputs=inputs,
                    protect=request.protect,
                    dependencies=tuple(request.dependencies),
                    inputs_from={
                        key: tuple(from_.urns) for key, from_ in request.propertyDependencies.items()
                    },
                    custom=request.custom,
                )
            )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 -- the engine's own call
        self._deployment.finished[request.urn] += 1
        return super().RegisterResourceOutputs(request)


def run_program(
    program: Callable[[], object],
    *,
    stack: str = "eu-west",
    config: Mapping[str, Any] | None = None,
    buckets: Mapping[str, Mapping[str, Any]] | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    keys: Mapping[str, str] | None = None,
) -> Deployment:
    """Run a Pulumi program on its own event loop and settings; return what it made.

    There before are `buckets`, by name their `tags` and `keys` (None where only the tags are still known);
    `tables`, by name their items by `pk`; and keys, by ARN their state.
    """
    cloud = _Cloud(buckets or {}, tables or {}, keys or {})
    # Only meanwhile: other tests of this process deploy what is really built.
    with patch.object(packages, "ROOT", Path(_built().name)), patch.dict(os.environ):
        os.environ.pop(packages.BUILD_VARIABLE, None)
        return contextvars.copy_context().run(_run, program, stack, dict(config or {}), cloud)


@cache
def _built() -> tempfile.TemporaryDirectory[str]:
    """A production build with something in each package, until this process ends."""
    root = tempfile.TemporaryDirectory(prefix="gdpr-build-")
    for package in ("api", "runs", "rows"):
        folder = Path(root.name) / "build" / "production" / package
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text("")
    return root


def _run(
    program: Callable[[], object],
    stack: str,
    config: dict[str, Any],
    cloud: _Cloud,
) -> Deployment:
    deployment = Deployment(region=str(config.get("aws:region", "")), prefix=f"gdpr-{stack}")
    reset_options()
    plain = {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in config.items()
    }
    pulumi.runtime.set_all_config(plain)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.set_mocks(
            cloud, project="gdpr", stack=stack, preview=False, monitor=_Monitor(deployment, cloud)
        )
        loop.run_until_complete(asyncio.wait_for(_finish(program, deployment), _SECONDS))
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)
        pulumi.runtime.set_all_config({})
        reset_options()
    return deployment


async def _finish(program: Callable[[], object], deployment: Deployment) -> None:
    def start() -> None:
        program()

    await run_pulumi_func(start)
    root = get_root_resource()
    for name, value in getattr(root, "outputs", {}).items():
        output: pulumi.Output[Any] = pulumi.Output.from_input(value)
        deployment.outputs[name] = await output.future()
        if await output.is_secret():
            deployment.secret_outputs.add(name)


def declared(
    stack: str = "eu-west", config: Mapping[str, Any] | None = None, *, now: datetime | None = None
) -> Deployment:
    """Run the whole program for a stack, with another config where one is given; return what it made.

    It takes a second or two. The same stack, config and moment are run once in a process; nobody changes
    what is returned. `now` is what the program takes for the present moment.
    """
    content = dict(stack_config(stack) if config is None else config)
    known = (stack, json.dumps(content, sort_keys=True, default=str), now)
    if known not in _DECLARED:
        _DECLARED[known] = _declare(stack, content, now)
    return _DECLARED[known]


_DECLARED: dict[tuple[str, str, datetime | None], Deployment] = {}


def _declare(stack: str, config: Mapping[str, Any], now: datetime | None) -> Deployment:
    stopped = nullcontext() if now is None else patch.object(region, "datetime", Mock(now=lambda _: now))
    with stopped:
        return run_program(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack=stack, config=config
        )


def customers_alone(config: Mapping[str, Any]) -> Deployment:
    """Declare what a region of the stack eu-west declares for each of its customers, and nothing else."""
    customers = parse_settings(config, project="gdpr", stack="eu-west").customers
    opts = pulumi.ResourceOptions()

    def program() -> None:
        identity = Identity(
            "gdpr-eu-west-identity", IdentityArgs(ground=GROUND, customers=customers, destroyed=())
        )
        roles = {purpose: f"arn:mock:Role:gdpr-eu-west-purpose-{purpose}" for purpose in PURPOSES}
        vaults = customer_vaults(
            "gdpr-eu-west", GROUND, customers, roles, "arn:mock:Queue:events", {}, NOW.date(), opts
        )
        Registry(
            "gdpr-eu-west-registry",
            RegistryArgs(ground=GROUND, customers=customers, vaults=vaults, identity=identity),
        )
        clock = ContractClockArgs(
            ground=GROUND,
            customers=customers,
            machine_arn="arn:machine",
            remind_function_arn="arn:remind",
            now=NOW,
        )
        ContractClock("gdpr-eu-west-clock", clock)
        pulumi.export("vaults", {customer: vault.facts for customer, vault in vaults.items()})

    return run_program(program)


@cache
def _file(stack: str) -> Mapping[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return content["config"]


def stack_config(stack: str) -> dict[str, Any]:
    """Return a stack's config as its file has it, with a principal of the first customer's.

    It is the caller's own: it may be changed.
    """
    content = copy.deepcopy(dict(_file(stack)))
    if stack == "eu-west":
        content["gdpr:customers"][0]["principals"] = ["arn:aws:iam::111122223333:root"]
    return content


def stack_settings(stack: str) -> Settings:
    """Return a stack's settings."""
    return parse_settings(stack_config(stack), project="gdpr", stack=stack)


def taggable(type_: str) -> bool:
    """Return whether the provider has tags for a type, as its own Python class says."""
    package, _, name = type_.removeprefix("aws:").partition("/")
    module = importlib.import_module(f"pulumi_aws.{'lambda_' if package == 'lambda' else package}")
    resource = getattr(module, name.partition(":")[2])
    return "tags" in inspect.signature(resource._internal_init).parameters
