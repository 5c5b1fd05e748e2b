"""A contract's end under the real roles: everything of one customer goes, and nothing of anybody else's."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.client import PrivacyClient, ProblemError
from local.emulator.search import search
from local.stacks import Stack, deploy_stack
from tests.e2e.support import LEAVING, World, customers_with_more, somebody, wait_for

STACK, NEIGHBOUR = "eu-west", "globex"
OTHERS = [("eu-west", "acme"), ("eu-west", NEIGHBOUR), ("us-east", "initech"), ("us-east", "umbra")]
AFTER_THE_FREEZE = {
    "empty-bucket": "bucket",
    "delete-table": "table",
    "delete-clients": "client",
    "schedule-key-deletion": "key",
}


def start(world: World, **given: object) -> str:
    stack = world.stacks[STACK]
    machine = f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:{stack.prefix}-contract-end"
    states = world.emulator.client("stepfunctions", stack.region)
    return str(states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"])


def ended(world: World, execution: str) -> Mapping[str, Any]:
    """The execution once it has ended."""
    states = world.emulator.client("stepfunctions", world.stacks[STACK].region)

    def status() -> str:
        return str(states.describe_execution(executionArn=execution)["status"])

    wait_for(lambda: status() != "RUNNING", "the end of an execution")
    found: Mapping[str, Any] = states.describe_execution(executionArn=execution)
    return found


def registry(world: World, pk: str) -> dict[str, Any]:
    answer = world.emulator.client("dynamodb", world.stacks[STACK].region).get_item(
        TableName=f"{world.stacks[STACK].prefix}-registry", Key={"pk": {"S": pk}}, ConsistentRead=True
    )
    return dict(answer.get("Item", {}))


def evidence(world: World, customer: str) -> dict[str, Any]:
    """What was written down about a customer's contract, by the last part of its key."""
    stack = world.stacks[STACK]
    s3, bucket = (
        world.emulator.client("s3", stack.region),
        f"{stack.prefix}-evidence-{stack.account}-{stack.region}",
    )
    listed = s3.list_object_versions(Bucket=bucket, Prefix=f"contract-end/{customer}/").get("Versions", [])
    keys = [each["Key"] for each in listed]
    assert len(set(keys)) == len(keys), "each is written once"
    return {
        key.rpartition("/")[2]: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for key in keys
    }


def of_others(world: World) -> list[object]:
    """Every version and item of all other customers, byte for byte."""
    views = [world.view(stack, customer) for stack, customer in OTHERS]
    return [(view.versions(), view.digests()) for view in views]


@dataclass(frozen=True)
class Ended:
    """A customer whose data was destroyed: its person, the others before, what it had and held."""

    person: str
    others: list[object]
    client: PrivacyClient
    request: str
    counted: Mapping[str, Any]


@pytest.fixture(scope="module")
def destroyed(world: World) -> Ended:
    """The customer with data and an open request, its contract over, its destruction carried out."""
    stack, api, person = world.stacks[STACK], world.api(STACK, LEAVING), somebody()
    _furnish(world, api, person)
    world.settle()
    others = of_others(world)
    inside = (f"s3://{stack.vaults[LEAVING].bucket}/", f"table {stack.vaults[LEAVING].table},")
    found = search(world.emulator, stack.region, [person, "H. Ooli"]).findings
    assert {finding.text for finding in found} == {person, "H. Ooli"}
    assert all(finding.place.startswith(inside) for finding in found)

    _leave_a_lock(world, stack)
    request = api.request_erasure([person]).id
    counted = json.loads(ended(world, start(world, customer=LEAVING, dry_run=True))["output"])
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    over = customers_with_more(ends=yesterday, graceDays=0)
    deploy_stack(world.emulator, STACK, config={"gdpr:customers": over})
    start(world, customer=LEAVING)
    wait_for(lambda: "scheduled.json" in evidence(world, LEAVING), "nothing but the key to be left")
    return Ended(person, others, api, request, counted)


def _furnish(world: World, api: PrivacyClient, person: str) -> None:
    stack = world.stacks[STACK]
    for number in range(3):
        api.put_record("profiles", f"h-{number}", person, {"name": "H. Ooli", "email": person})
    row = json.dumps({"author": {"name": "H. Ooli", "email": person}, "text": "fine"}).encode() + b"\n"
    for _ in range(2):
        api.upload("feedback", "feedback/h.jsonl", row)
    api.upload("letters", "letters/h.txt", f"Dear {person}".encode(), subject=person)
    api.upload("dumps", "dumps/h.jsonl", row)
    s3, bucket = world.emulator.client("s3", stack.region), stack.vaults[LEAVING].bucket
    s3.put_object(Bucket=bucket, Key="of no dataset", Body=b"?")
    s3.delete_object(Bucket=bucket, Key="of no dataset")
    s3.create_multipart_upload(Bucket=bucket, Key="feedback/unfinished.jsonl")
    wait_for(lambda: world.view(STACK, LEAVING).index_entries() >= 2, "the index")


def _leave_a_lock(world: World, stack: Stack) -> None:
    """Leave the lock of a run that nobody carries out: what is asked for now stays open."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = {"pk": {"S": f"customer#{LEAVING}"}, "sk": {"S": "run"}}
    run = {"run_id": {"S": "0196a6d5-3a40-7c3e-9a51-6f0d7f1b2c3d"}, "started_at": {"S": now}}
    world.emulator.client("dynamodb", stack.region).put_item(
        TableName=f"{stack.prefix}-requests", Item={**key, **run}
    )


def test_everything_of_the_customer_is_gone(world: World, destroyed: Ended) -> None:
    stack = world.stacks[STACK]
    s3, vault = world.emulator.client("s3", stack.region), stack.vaults[LEAVING]
    listed = s3.list_object_versions(Bucket=vault.bucket)
    assert "Versions" not in listed
    assert "DeleteMarkers" not in listed
    assert not s3.list_multipart_uploads(Bucket=vault.bucket).get("Uploads")
    assert vault.table not in world.emulator.client("dynamodb", stack.region).list_tables()["TableNames"]
    assert search(world.emulator, stack.region, [destroyed.person, "H. Ooli"]).findings == ()


@pytest.mark.usefixtures("destroyed")
def test_the_key_goes_after_the_days_of_the_config(world: World) -> None:
    stack = world.stacks[STACK]
    kms = world.emulator.client("kms", stack.region)
    key = kms.describe_key(KeyId=stack.vaults[LEAVING].key_arn)["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"
    assert timedelta(days=6) < key["DeletionDate"] - datetime.now(UTC) <= timedelta(days=7)


def test_all_others_are_as_they_were(world: World, destroyed: Ended) -> None:
    assert of_others(world) == destroyed.others
    for stack, customer in OTHERS:
        assert world.stacks[stack].client(customer).requests(limit=1) is not None
        key = world.stacks[stack].vaults[customer].key_arn
        kms = world.emulator.client("kms", world.stacks[stack].region)
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.usefixtures("destroyed")
def test_its_programs_get_no_token(world: World) -> None:
    for program in world.stacks[STACK].clients[LEAVING]:
        with pytest.raises(ProblemError) as refused:
            world.stacks[STACK].client(LEAVING, program).token()
        assert "invalid_client" in str(refused.value)


def test_a_token_from_before_opens_nothing(destroyed: Ended) -> None:
    for method, path, body in (
        ("GET", "/v1/requests", None),
        ("GET", f"/v1/requests/{destroyed.request}", None),
        ("POST", "/v1/erasure-requests", {"subjects": [destroyed.person]}),
        ("PUT", "/v1/datasets/profiles/records/h-9", {"subject": destroyed.person, "fields": {}}),
        ("POST", "/v1/datasets/feedback/uploads", {"key": "feedback/late.jsonl"}),
    ):
        answer = destroyed.client.call(method, path, json=body)
        assert answer.status_code == httpx.codes.FORBIDDEN, path
        assert answer.json()["type"] == "urn:gdpr:problem:contract-ended"


def test_what_was_asked_for_ended_rejected(world: World, destroyed: Ended) -> None:
    stack = world.stacks[STACK]
    item = world.emulator.client("dynamodb", stack.region).get_item(
        TableName=f"{stack.prefix}-requests",
        Key={"pk": {"S": f"customer#{LEAVING}"}, "sk": {"S": f"request#{destroyed.request}"}},
        ConsistentRead=True,
    )["Item"]
    assert item["state"]["S"] == "rejected"


@pytest.mark.usefixtures("destroyed")
def test_the_evidence_says_what_was_read_back(world: World) -> None:
    scheduled = evidence(world, LEAVING)["scheduled.json"]
    nothing = {"versions": 0, "bytes": 0, "delete_markers": 0, "unfinished_uploads": 0, "complete": True}
    vault = world.stacks[STACK].vaults[LEAVING]
    assert scheduled["read_back"]["bucket"] == {"name": vault.bucket, "state": "THERE", **nothing}
    assert scheduled["exceptions"] == []
    assert scheduled["read_back"]["table"] == {"name": vault.table, "state": "GONE"}
    assert scheduled["read_back"]["key"]["state"] == "PendingDeletion"
    assert scheduled["clients_deleted"] == len(world.stacks[STACK].clients[LEAVING])
    assert scheduled["deleted_at_least"]["versions"] > 0


@pytest.mark.usefixtures("destroyed")
def test_while_the_key_is_there_nothing_is_called_destroyed(world: World) -> None:
    answer = _call(world, "confirm-key-deletion", LEAVING)
    assert answer["gone"] is False
    assert "destroyed.json" not in evidence(world, LEAVING)
    assert registry(world, f"destruction#{LEAVING}")["state"]["S"] == "scheduled"


@pytest.mark.usefixtures("destroyed")
def test_a_hold_while_the_key_waits_keeps_it_until_it_is_lifted(world: World) -> None:
    stack = world.stacks[STACK]
    kms, key = world.emulator.client("kms", stack.region), stack.vaults[LEAVING].key_arn
    dynamodb = world.emulator.client("dynamodb", stack.region)
    entry = {"TableName": f"{stack.prefix}-registry", "Key": {"pk": {"S": f"customer#{LEAVING}"}}}

    def state() -> str:
        return str(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])

    def stages(stage: str) -> list[str]:
        return [name for name, found in evidence(world, LEAVING).items() if found.get("stage") == stage]

    dynamodb.update_item(
        **entry,
        UpdateExpression="SET #hold = :why",
        ExpressionAttributeNames={"#hold": "hold"},
        ExpressionAttributeValues={":why": {"S": "litigation, case 1"}},
    )
    # The watch needs what it has on its role: it looks at the execution that waits, and starts another.
    assert _call(world, "watch-contracts", LEAVING) == {"started": 1}
    wait_for(lambda: state() != "PendingDeletion", "the key to be kept")
    wait_for(lambda: stages("key-kept"), "that to be on record")
    names = {"#hold": "hold"}
    dynamodb.update_item(**entry, UpdateExpression="REMOVE #hold", ExpressionAttributeNames=names)
    start(world, customer=LEAVING)
    wait_for(lambda: state() == "PendingDeletion", "the key to go again")
    wait_for(lambda: len(stages("scheduled")) == 2, "that to be on record, too")


def test_the_dry_run_had_counted_all_of_it(world: World, destroyed: Ended) -> None:
    bucket = destroyed.counted["bucket"]
    found = {name: bucket[name] for name in ("versions", "delete_markers", "unfinished_uploads")}
    assert found == {"versions": 5, "delete_markers": 1, "unfinished_uploads": 1}
    assert destroyed.counted["table"]["items_counted_last"] > 3
    assert destroyed.counted["clients"] == len(world.stacks[STACK].clients[LEAVING])
    assert destroyed.counted["reason"] == "not-due"


def test_a_dry_run_touches_nothing(world: World) -> None:
    world.settle()
    view = world.view(STACK, NEIGHBOUR)
    before = view.versions(), view.digests()
    counted = json.loads(ended(world, start(world, customer=NEIGHBOUR, dry_run=True))["output"])
    real = [text for text in before[0].values() if text != "delete marker"]
    assert counted["bucket"]["versions"] == len(real)
    assert counted["bucket"]["bytes"] == sum(len(view.body(key, version)) for key, version in before[0])
    assert (view.versions(), view.digests()) == before
    assert registry(world, f"destruction#{NEIGHBOUR}") == {}


def test_a_contract_that_goes_on_is_left_alone_and_that_is_on_record(world: World) -> None:
    world.settle()
    view = world.view(STACK, NEIGHBOUR)
    before = view.versions(), view.digests()
    stopped = json.loads(ended(world, start(world, customer=NEIGHBOUR))["output"])
    assert (stopped["proceed"], stopped["reason"]) == (False, "not-due")
    assert (view.versions(), view.digests()) == before
    assert {document["reason"] for document in evidence(world, NEIGHBOUR).values()} == {"not-due"}


@pytest.fixture
def impostor(world: World) -> Iterator[str]:
    """A customer in the registry whose contract is over, and whose resources are all its neighbour's."""
    stack = world.stacks[STACK]
    dynamodb = world.emulator.client("dynamodb", stack.region)
    theirs = registry(world, f"customer#{NEIGHBOUR}")
    over = {"contract_ends": {"S": "2026-01-31"}, "contract_starts": {"S": "2026-01-01"}}
    entry = {**theirs, **over, "pk": {"S": "customer#impostor"}, "customer": {"S": "impostor"}}
    dynamodb.put_item(TableName=f"{stack.prefix}-registry", Item=entry)
    yield "impostor"
    for pk in ("customer#impostor", "destruction#impostor"):
        dynamodb.delete_item(TableName=f"{stack.prefix}-registry", Key={"pk": {"S": pk}})
    lock = {"pk": {"S": "customer#impostor"}, "sk": {"S": "run"}}
    dynamodb.delete_item(TableName=f"{stack.prefix}-requests", Key=lock)


def test_with_another_customers_resources_in_its_hands_it_fails(world: World, impostor: str) -> None:
    world.settle()
    before = of_others(world)
    execution = ended(world, start(world, customer=impostor))
    assert execution["status"] == "FAILED"
    assert "the bucket has no tag of this customer's" in execution["cause"]
    assert registry(world, f"destruction#{impostor}") == {}, "it is not even marked"
    # Had it been, each step that destroys something would have refused as well.
    _mark(world, impostor)
    for function, what in AFTER_THE_FREEZE.items():
        answer = _call(world, function, impostor)
        assert f"the {what} has no tag of this customer's" in answer["errorMessage"], answer
    assert of_others(world) == before
    assert world.stacks[STACK].client(NEIGHBOUR).token()
    assert evidence(world, impostor) == {}


def _mark(world: World, customer: str) -> None:
    """Mark a customer by hand, with the resources of its neighbour."""
    stack = world.stacks[STACK]
    theirs, vault = registry(world, f"customer#{NEIGHBOUR}"), stack.vaults[NEIGHBOUR]
    texts = {
        "pk": f"destruction#{customer}",
        "state": "destroying",
        "since": "2026-02-01T00:00:00Z",
        "bucket_arn": f"arn:aws:s3:::{vault.bucket}",
        "table_arn": f"arn:aws:dynamodb:{stack.region}:{stack.account}:table/{vault.table}",
        "key_arn": vault.key_arn,
        "prefixes": "[]",
        "contract_starts": "2026-01-01",
        "contract_ends": "2026-01-31",
    }
    facts = {name: theirs[name] for name in ("user_pool", "clients", "grace_days", "key_deletion_days")}
    world.emulator.client("dynamodb", stack.region).put_item(
        TableName=f"{stack.prefix}-registry",
        Item={**{name: {"S": text} for name, text in texts.items()}, **facts},
    )


def _call(world: World, function: str, customer: str) -> dict[str, Any]:
    """Call one step of a contract's end, by hand."""
    stack = world.stacks[STACK]
    answer = world.emulator.client("lambda", stack.region).invoke(
        FunctionName=f"{stack.prefix}-{function}",
        Payload=json.dumps({"customer": customer, "round": 0}).encode(),
    )
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found
