"""Pulumi's `ResourceProvider` protocol over the table of creators: what each of the engine's calls does.

The engine keeps the state; nothing is remembered here but the region. What a creator gave back besides the
inputs is listed in the state under `_MADE`, so that the next call can tell the two apart.
"""
# ruff: noqa: N802 -- the methods have the protocol's names

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from local.deploy.answers import NoAnswerError, answer
from local.deploy.catalogue import CATALOGUE
from local.deploy.changes import changed, check_change, check_provider, state_of, unknown
from local.deploy.creator import Aws, Creator, DeploymentError, Existing, Inputs, Made, plain
from local.emulator.emulator import Emulator
from local.provider import values

_MADE: Final = "__made"
"""In a resource's state: the names of the properties that its creator gave back. The SDK hides the name."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One plugin process: serves one engine, for one stack in one region."""

    def __init__(self, emulator: Emulator, version: str) -> None:
        self._emulator = emulator
        self._version = version
        self._aws: Aws | None = None

    def GetPluginInfo(self, _request: Empty, _context: Any) -> plugin_pb2.PluginInfo:
        """Tell the version, which is the package's that the program uses."""
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(self, request: Any, _context: Any) -> provider_pb2.CheckResponse:
        """Refuse settings of the provider that are not known here."""
        news = values.read(request.news)
        failures = []
        try:
            check_provider("", news, news.get("region", ""))
        except DeploymentError as error:
            failures.append(provider_pb2.CheckFailure(reason=str(error)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """Refuse another region: Pulumi would replace everything."""
        before, after = (values.read(each).get("region") for each in (request.olds, request.news))
        if before != after:
            with _errors_told(context):
                raise DeploymentError(f"the stack is deployed to {before} and cannot move to {after}")
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, _context: Any) -> provider_pb2.ConfigureResponse:
        """Take the region. Secrets are not accepted: the engine itself marks what comes of them."""
        self._aws = Aws(self._emulator, values.read(request.args)["region"])
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, _context: Any) -> provider_pb2.CheckResponse:
        """Refuse a property that the type's creator does not know."""
        inputs, failures = values.read(request.news), []
        try:
            _creator(request).check(self._configured, _name(request.urn), inputs)
        except DeploymentError as error:
            failures.append(provider_pb2.CheckFailure(reason=str(error)))
        return provider_pb2.CheckResponse(inputs=values.write(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """What changed. A value that a preview cannot know counts as changed, where it may change."""
        with _errors_told(context, request.urn):
            creator, before = _creator(request), plain(values.read(request.old_inputs))
            inputs = values.read(request.news)
            changes = changed(creator, before, inputs)
            check_change(creator, _label(request.urn), changes)
            open_ones = {key for key, value in inputs.items() if unknown(value)}
            changes |= open_ones & (creator.updatable | creator.replacing)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=sorted(changes & creator.replacing),
            diffs=sorted(changes),
        )

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        """Make it; in a preview, just say what is known beforehand."""
        with _errors_told(context, request.urn):
            inputs, name = values.read(request.properties), _name(request.urn)
            made = Made("") if request.preview else _creator(request).create(self._configured, name, inputs)
            return provider_pb2.CreateResponse(id=made.id, properties=self._state(name, inputs, made))

    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        """Change what changed; in a preview, just say what is known beforehand."""
        with _errors_told(context, request.urn):
            creator, existing = _creator(request), _existing(request, request.olds)
            inputs, made = values.read(request.news), existing.unchanged
            if not request.preview and creator.update is not None:
                made = creator.update(self._configured, existing, inputs)
            return provider_pb2.UpdateResponse(properties=self._state(existing.name, inputs, made))

    def Delete(self, request: Any, context: Any) -> Empty:
        """Delete it; what is gone already is fine."""
        with _errors_told(context, request.urn):
            delete = _creator(request).delete
            if delete is None:
                raise DeploymentError(
                    f"{_label(request.urn)}: the local deployer cannot delete this type; add a `delete` to "
                    "its creator in local/deploy/services"
                )
            delete(self._configured, _existing(request, request.properties))
            return Empty()

    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        """The resource as AWS has it now; without an id where it is gone."""
        with _errors_told(context, request.urn):
            if not request.inputs.fields:
                raise DeploymentError(
                    f"{_label(request.urn)}: the local deployer reads no resource that it did not make"
                )
            now = _creator(request).read(self._configured, _existing(request, request.properties))
            if now is None:
                return provider_pb2.ReadResponse()
            kept = values.read(request.inputs)
            inputs = {
                key: kept[key] if plain(kept.get(key)) == value else value
                for key, value in now.inputs.items()
            }
            return provider_pb2.ReadResponse(
                id=now.id,
                properties=self._state(now.name, inputs, now.unchanged),
                inputs=values.write(inputs),
            )

    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        """Answer one of the provider's functions."""
        with _errors_told(context):
            given = answer(self._configured, request.tok, values.read(request.args))
            told = provider_pb2.InvokeResponse()
            getattr(told, "return").CopyFrom(values.write(given))  # a word of Python's own
            return told

    def Cancel(self, _request: Empty, _context: Any) -> Empty:
        """Nothing here lasts so long that it has to be cancelled."""
        return Empty()

    @property
    def _configured(self) -> Aws:
        if self._aws is None:
            raise DeploymentError("the engine asked for a resource before it configured the provider")
        return self._aws

    def _state(self, name: str, inputs: Inputs, made: Made) -> Struct:
        state = state_of(self._configured.region, Existing(name, made.id, inputs, made.outputs))
        return values.write({**state, _MADE: sorted(made.outputs)})


def _existing(request: Any, state: Struct) -> Existing:
    """What an earlier call left, for a creator. The state holds its inputs too, as they were then."""
    properties = values.read(state)
    inputs = request.inputs if isinstance(request, provider_pb2.ReadRequest) else request.old_inputs
    return Existing(
        _name(request.urn),
        request.id,
        plain(values.read(inputs)),
        {key: properties[key] for key in properties.get(_MADE, []) if key in properties},
    )


def _creator(request: Any) -> Creator:
    token = request.urn.split("::")[2].rpartition("$")[2]
    if token not in CATALOGUE:
        raise DeploymentError(
            f"{_label(request.urn)}: the local deployer does not know this type; "
            "add a creator in local/deploy/services"
        )
    return CATALOGUE[token]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _label(urn: str) -> str:
    return f"{urn.split('::')[2].rpartition('$')[2]} {_name(urn)!r}"


@contextmanager
def _errors_told(context: Any, urn: str = "") -> Iterator[None]:
    """End the call with the error's own text: what else is raised, the engine shows with a traceback."""
    try:
        yield
    except DeploymentError as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except (ClientError, BotoCoreError, KeyError, NoAnswerError) as error:
        what = f"{_label(urn)}: " if urn else ""
        context.abort(grpc.StatusCode.UNKNOWN, f"{what}{type(error).__name__}: {error}")
