"""The provider plugin, called as the engine calls it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from local.emulator.emulator import ROOT, Emulator
from local.provider import values

REGION = "eu-west-1"
UNKNOWN = rpc.UNKNOWN
QUEUE = "aws:sqs/queue:Queue"


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::p::gdpr:region:Region${type_}::{name}"


class Engine:
    """The other end of the protocol."""

    def __init__(self, stub: Any) -> None:  # noqa: ANN401 -- generated without types
        self.stub = stub

    def create(self, type_: str, name: str, inputs: Mapping[str, Any], *, preview: bool = False) -> Any:  # noqa: ANN401
        asked = provider_pb2.CreateRequest(
            urn=urn(type_, name), properties=values.write(inputs), preview=preview
        )
        return self.stub.Create(asked)

    def diff(self, type_: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                urn=urn(type_, name),
                olds=values.write(before),
                old_inputs=values.write(before),
                news=values.write(after),
            )
        )

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=values.write(arguments)))
        return values.read(getattr(answer, "return"))


@pytest.fixture(scope="module")
def engine(emulator: Emulator) -> Iterator[Engine]:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_CA_BUNDLE": str(emulator.authority),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "local.provider", "127.0.0.1:1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            stub.Configure(provider_pb2.ConfigureRequest(args=values.write({"region": REGION})))
            yield Engine(stub)
        process.kill()


def queues(emulator: Emulator, name: str) -> list[str]:
    found = emulator.client("sqs", REGION).list_queues(QueueNamePrefix=name)
    return list(found.get("QueueUrls", []))


def test_a_resource_comes_changes_and_goes(engine: Engine, emulator: Emulator) -> None:
    inputs = {"name": "coming", "visibilityTimeoutSeconds": 30, "tags": {"stack": "t"}}
    made = engine.create(QUEUE, "q", inputs)
    state = values.read(made.properties)
    (url,) = queues(emulator, "coming")
    assert made.id == url
    assert state["arn"] == f"arn:aws:sqs:{REGION}:111122223333:coming"
    assert state["tagsAll"] == {"stack": "t"}
    assert engine.diff(QUEUE, "q", inputs, inputs).changes == provider_pb2.DiffResponse.DIFF_NONE

    later = {**inputs, "visibilityTimeoutSeconds": 60}
    diff = engine.diff(QUEUE, "q", inputs, later)
    assert list(diff.diffs) == ["visibilityTimeoutSeconds"]
    assert list(diff.replaces) == []
    facts = {"id": made.id, "urn": urn(QUEUE, "q"), "old_inputs": values.write(inputs)}
    asked = {**facts, "olds": made.properties, "news": values.write(later)}

    def timeout() -> str:
        wanted = ["VisibilityTimeout"]
        found = emulator.client("sqs", REGION).get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
        return str(found["Attributes"]["VisibilityTimeout"])

    engine.stub.Update(provider_pb2.UpdateRequest(**asked, preview=True))
    assert timeout() == "30", "a preview changes nothing"
    updated = engine.stub.Update(provider_pb2.UpdateRequest(**asked))
    assert timeout() == "60"
    assert values.read(updated.properties) == {**state, "visibilityTimeoutSeconds": 60}

    read = provider_pb2.ReadRequest(
        id=made.id, urn=urn(QUEUE, "q"), properties=updated.properties, inputs=values.write(later)
    )
    there = engine.stub.Read(read)
    assert (there.id, values.read(there.inputs)) == (made.id, later)
    assert values.read(there.properties) == values.read(updated.properties)
    engine.stub.Delete(provider_pb2.DeleteRequest(**facts, properties=updated.properties))
    assert queues(emulator, "coming") == []
    gone = engine.stub.Read(read)
    assert gone.id == ""


def test_a_preview_makes_nothing_and_tells_what_it_knows(engine: Engine, emulator: Emulator) -> None:
    made = engine.create(QUEUE, "q", {"name": "only-thought-of", "kmsMasterKeyId": UNKNOWN}, preview=True)
    assert made.id == ""
    assert values.read(made.properties)["name"] == "only-thought-of"
    assert "kmsMasterKeyId" not in made.properties.fields
    assert "arn" not in made.properties.fields
    assert queues(emulator, "only-thought-of") == []


def test_what_a_preview_cannot_know_may_change(engine: Engine) -> None:
    diff = engine.diff(
        QUEUE, "q", {"name": "a", "kmsMasterKeyId": "k"}, {"name": "a", "kmsMasterKeyId": UNKNOWN}
    )
    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    type_ = "aws:apigateway/deployment:Deployment"
    before = {"restApi": "a", "description": "b"}
    replaced = engine.diff(type_, "d", before, {**before, "triggers": UNKNOWN})
    assert list(replaced.replaces) == ["triggers"]


def test_what_changes_only_by_replacing_is_told_to_the_engine(engine: Engine) -> None:
    type_ = "aws:apigateway/deployment:Deployment"
    before = {"restApi": "a", "triggers": {"routes": "1"}}
    diff = engine.diff(type_, "d", before, {**before, "triggers": {"routes": "2"}})
    assert list(diff.replaces) == ["triggers"]


def refused(call: Any, *arguments: Any) -> str:  # noqa: ANN401 -- any call
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments)
    told = error.value.details()  # type: ignore[attr-defined]  # of a call that failed
    assert "Traceback" not in told
    return str(told)


def test_a_change_that_nobody_can_make_is_refused(engine: Engine) -> None:
    table = {"name": "t", "billingMode": "PAY_PER_REQUEST", "hashKey": "a"}
    told = refused(engine.diff, "aws:dynamodb/table:Table", "t", table, {**table, "hashKey": "b"})
    assert told.startswith("aws:dynamodb/table:Table 't': hashKey changed")


def test_errors_name_the_resource(engine: Engine) -> None:
    assert refused(engine.create, "aws:ec2/instance:Instance", "i", {}) == (
        "aws:ec2/instance:Instance 'i': the local deployer does not know this type; "
        "add a creator in local/deploy/services"
    )
    told = refused(
        engine.create, "aws:s3/bucketPolicy:BucketPolicy", "p", {"bucket": "nowhere", "policy": "{}"}
    )
    assert told.startswith("aws:s3/bucketPolicy:BucketPolicy 'p': ")
    assert "NoSuchBucket" in told


def test_a_property_that_is_not_known_is_told_before_anything_is_made(engine: Engine) -> None:
    asked = provider_pb2.CheckRequest(urn=urn(QUEUE, "q"), news=values.write({"name": "a", "colour": "red"}))
    (failure,) = engine.stub.Check(asked).failures
    assert "property 'colour' is not known" in failure.reason


def test_a_resource_that_was_not_made_here_is_not_read(engine: Engine) -> None:
    asked = provider_pb2.ReadRequest(id="x", urn=urn(QUEUE, "q"))
    assert "reads no resource that it did not make" in refused(engine.stub.Read, asked)


def test_functions_answer_from_the_emulator(engine: Engine) -> None:
    caller = engine.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert caller["accountId"] == "111122223333"
    told = refused(engine.invoke, "aws:kms/getKey:getKey", {"keyId": "alias/nobody"})
    assert "NotFoundException" in told
    assert "does not know this function" in refused(engine.invoke, "aws:ec2/getVpc:getVpc", {})


def test_settings_of_the_provider_that_are_not_known_are_refused(engine: Engine) -> None:
    news = values.write({"region": REGION, "defaultTags": json.dumps({"tags": {}})})
    (failure,) = engine.stub.CheckConfig(provider_pb2.CheckRequest(news=news)).failures
    assert "defaultTags" in failure.reason


def test_a_stack_does_not_move_to_another_region(engine: Engine) -> None:
    asked = provider_pb2.DiffRequest(
        olds=values.write({"region": REGION}), news=values.write({"region": "us-east-1"})
    )
    assert "cannot move to us-east-1" in refused(engine.stub.DiffConfig, asked)


def test_the_version_is_the_one_that_the_program_asks_for(engine: Engine) -> None:
    asked = (ROOT / "requirements" / "dev.in").read_text("utf-8")
    told = MessageToDict(engine.stub.GetPluginInfo(empty_pb2.Empty()))
    assert f"pulumi-aws=={told['version']}\n" in asked


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_ENDPOINT_URL": "https://sqs.eu-west-1.amazonaws.com", "AWS_CA_BUNDLE": "/etc/ssl/cert.pem"},
        {"AWS_ENDPOINT_URL": "https://127.0.0.1.example.com:1", "AWS_CA_BUNDLE": "/etc/ssl/cert.pem"},
        {"AWS_ENDPOINT_URL": "https://127.0.0.1:1"},
    ],
)
def test_it_serves_nothing_but_an_emulator_on_this_machine(environment: Mapping[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "local.provider", "127.0.0.1:1"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "this plugin works on an emulator at 127.0.0.1 only" in ran.stderr
