"""Customer A's token, role and session get nothing of B's, in either region."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from local.stacks import Stack
from tests.e2e.support import World, resources

FUNCTIONS = {
    "begin": "begin-vault",
    "ingest": "put-record",
    "intake": "create-erasure-request",
    "index": "index-objects",
    "plan": "plan-run",
    "visit": "visit-objects",
    "verify": "verify-run",
    "reindex": "reindex-objects",
    "close": "complete-run",
    "replay": "replay-erasures",
    "export": "export-vault",
    "fetch": "get-export",
    "list": "list-unattributed-files",
    "keep": "keep-key",
    "destroy": "empty-bucket",
    "witness": "verify-destruction",
}
"""A function of each purpose: whose role may assume the purpose's role."""

OTHERS = [("eu-west", "globex"), ("us-east", "initech"), ("us-east", "umbra")]
REFUSED = {"AccessDenied", "AccessDeniedException", "403"}  # HeadObject has no body to name a code in


def attempts(
    world: World, session: Any, stack: Stack, customer: str, key: str | None = None
) -> dict[str, Callable[[], object]]:
    """Every kind of access to a vault, each as a call; by default on an object with real data."""
    vault = stack.vaults[customer]
    s3 = world.aws(session, "s3", stack.region)
    dynamodb = world.aws(session, "dynamodb", stack.region)
    kms = world.aws(session, "kms", stack.region)
    key = key or world.data[stack.name].customers[customer].files[0].key
    item = {"pk": {"S": "vault"}, "sk": {"S": "probe"}}
    where = {"Bucket": vault.bucket, "Key": key}
    table = {"TableName": vault.table}
    query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "vault"}}}
    notes = {**query, "ExpressionAttributeValues": {":p": {"S": "unattributed"}}}
    by_object = {
        "IndexName": "objects",
        "KeyConditionExpression": "#o = :o",
        "ExpressionAttributeNames": {"#o": "object"},
        "ExpressionAttributeValues": {":o": {"S": key}},
    }
    context = {"purpose": "subject-reference", "customer": customer}
    secret = _subject_secret(world, stack, customer)
    update = {"UpdateExpression": "SET probed = :t", "ExpressionAttributeValues": {":t": {"BOOL": True}}}
    return {
        "s3:GetObject": lambda: s3.get_object(**where),
        "s3:HeadObject": lambda: s3.head_object(**where),
        "s3:GetObjectTagging": lambda: s3.get_object_tagging(**where),
        "s3:PutObject": lambda: s3.put_object(**where, Body=b"x"),
        "s3:PutObjectTagging": lambda: s3.put_object_tagging(**where, Tagging={"TagSet": []}),
        "s3:DeleteObject": lambda: s3.delete_object(**where),
        "s3:DeleteObjectVersion": lambda: s3.delete_object(**where, VersionId="null"),
        "s3:ListBucket": lambda: s3.list_objects_v2(Bucket=vault.bucket),
        "s3:ListBucketVersions": lambda: s3.list_object_versions(Bucket=vault.bucket),
        "s3:GetBucketPolicy": lambda: s3.get_bucket_policy(Bucket=vault.bucket),
        "s3:GetBucketTagging": lambda: s3.get_bucket_tagging(Bucket=vault.bucket),
        "s3:ListBucketMultipartUploads": lambda: s3.list_multipart_uploads(Bucket=vault.bucket),
        "s3:AbortMultipartUpload": lambda: s3.abort_multipart_upload(**where, UploadId="of-nobody"),
        "s3:PutBucketPolicy": lambda: s3.put_bucket_policy(Bucket=vault.bucket, Policy="{}"),
        "dynamodb:GetItem": lambda: dynamodb.get_item(**table, Key=item),
        "dynamodb:PutItem": lambda: dynamodb.put_item(**table, Item=item),
        "dynamodb:UpdateItem": lambda: dynamodb.update_item(**table, Key=item, **update),
        "dynamodb:DeleteItem": lambda: dynamodb.delete_item(**table, Key=item),
        "dynamodb:Query": lambda: dynamodb.query(**table, **query),
        "dynamodb:Query notes": lambda: dynamodb.query(**table, **notes),
        "dynamodb:Query objects": lambda: dynamodb.query(**table, **by_object),
        "dynamodb:Scan": lambda: dynamodb.scan(**table),
        "dynamodb:BatchGetItem": lambda: dynamodb.batch_get_item(
            RequestItems={vault.table: {"Keys": [item]}}
        ),
        "dynamodb:BatchWriteItem": lambda: dynamodb.batch_write_item(
            RequestItems={vault.table: [{"PutRequest": {"Item": item}}]}
        ),
        "dynamodb:TransactWriteItems": lambda: dynamodb.transact_write_items(
            TransactItems=[{"Put": {**table, "Item": item}}]
        ),
        "dynamodb:ExportTableToPointInTime": lambda: dynamodb.export_table_to_point_in_time(
            TableArn=resources(stack, customer).table_arn, S3Bucket=vault.bucket
        ),
        "dynamodb:DescribeTable": lambda: dynamodb.describe_table(**table),
        "dynamodb:ListTagsOfResource": lambda: dynamodb.list_tags_of_resource(
            ResourceArn=resources(stack, customer).table_arn
        ),
        "dynamodb:UpdateTable": lambda: dynamodb.update_table(**table, DeletionProtectionEnabled=True),
        "dynamodb:DeleteTable": lambda: dynamodb.delete_table(**table),
        "kms:DescribeKey": lambda: kms.describe_key(KeyId=vault.key_arn),
        "kms:ListResourceTags": lambda: kms.list_resource_tags(KeyId=vault.key_arn),
        "kms:Decrypt": lambda: kms.decrypt(
            CiphertextBlob=secret, KeyId=vault.key_arn, EncryptionContext=context
        ),
        "kms:GenerateDataKeyWithoutPlaintext": lambda: kms.generate_data_key_without_plaintext(
            KeyId=vault.key_arn, NumberOfBytes=32, EncryptionContext=context
        ),
        "kms:Encrypt": lambda: kms.encrypt(KeyId=vault.key_arn, Plaintext=b"x", EncryptionContext=context),
        "kms:CancelKeyDeletion": lambda: kms.cancel_key_deletion(KeyId=vault.key_arn),
        "kms:ScheduleKeyDeletion": lambda: kms.schedule_key_deletion(KeyId=vault.key_arn),
    }


def _subject_secret(world: World, stack: Stack, customer: str) -> bytes:
    item = world.emulator.client("dynamodb", stack.region).get_item(
        TableName=stack.vaults[customer].table, Key={"pk": {"S": "vault"}, "sk": {"S": "subject-secret"}}
    )["Item"]
    return bytes(item["ciphertext"]["B"])


def allowed(calls: dict[str, Callable[[], object]], refused: Collection[str] = REFUSED) -> list[str]:
    """The calls that were not refused with one of the codes; all are made at the same time."""
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(_outcome, calls.values()))
    return [
        f"{name}: {outcome}" if outcome else name
        for name, outcome in zip(calls, outcomes, strict=True)
        if outcome not in refused
    ]


def _outcome(call: Callable[[], object]) -> str | None:
    """The code of the error that the call ended with, if it did."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def assuming(world: World, function: str, stack: Stack, purpose: str) -> Callable[[], object]:
    """The call with which a function of eu-west assumes a purpose's role in a stack."""
    sts = world.aws(world.function_session("eu-west", function), "sts")
    role = f"arn:aws:iam::{stack.account}:role/{stack.prefix}-purpose-{purpose}"
    return lambda: sts.assume_role(RoleArn=role, RoleSessionName="probe")


@pytest.fixture(scope="module")
def untouched(world: World) -> Callable[[], bool]:
    """Whether the other customers' vaults are as they were when the fixture was made."""

    def state() -> list[object]:
        views = [world.view(stack, customer) for stack, customer in OTHERS]
        return [(view.versions(), view.digests()) for view in views]

    world.settle()
    before = state()
    return lambda: state() == before


@pytest.mark.parametrize("purpose", FUNCTIONS)
def test_a_session_for_one_customer_opens_nothing_of_another(
    world: World, purpose: str, untouched: Callable[[], bool]
) -> None:
    session = world.purpose_session("eu-west", FUNCTIONS[purpose], purpose, "acme")
    for stack, customer in OTHERS:
        assert allowed(attempts(world, session, world.stacks[stack], customer)) == [], (stack, customer)
    assert untouched()


@pytest.mark.parametrize(
    ("purpose", "works"),
    [
        ("ingest", "dynamodb:GetItem"),
        ("intake", "kms:Decrypt"),
        ("index", "s3:ListBucketVersions"),
        ("plan", "dynamodb:Query"),
        ("visit", "s3:GetObject"),
        ("verify", "s3:ListBucketVersions"),
        ("reindex", "dynamodb:Query objects"),
        ("close", "dynamodb:Query"),
        ("replay", "dynamodb:GetItem"),
        ("export", "dynamodb:Scan"),
        ("fetch", "s3:GetObject"),
        ("list", "dynamodb:Query notes"),
        ("keep", "kms:DescribeKey"),
        ("destroy", "s3:ListBucketMultipartUploads"),
        ("witness", "dynamodb:DescribeTable"),
    ],
)
def test_the_same_session_opens_its_own_vault(world: World, purpose: str, works: str) -> None:
    """Without this the refusals above would prove nothing."""
    session = world.purpose_session("eu-west", FUNCTIONS[purpose], purpose, "acme")
    attempts(world, session, world.stacks["eu-west"], "acme")[works]()


@pytest.mark.parametrize(("stack", "customer"), [("eu-west", "acme"), *OTHERS])
@pytest.mark.parametrize("function", [*FUNCTIONS.values(), "sweep-runs", "get-request", "describe-service"])
def test_a_functions_own_role_opens_no_vault_at_all(
    world: World, function: str, stack: str, customer: str
) -> None:
    session = world.function_session("eu-west", function)
    assert world.aws(session, "sts").get_caller_identity()["Arn"].endswith(f"-{function}")
    assert allowed(attempts(world, session, world.stacks[stack], customer)) == []


@pytest.mark.parametrize("purpose", FUNCTIONS)
def test_a_function_assumes_the_role_of_its_own_purpose_only(world: World, purpose: str) -> None:
    others = [function for other, function in FUNCTIONS.items() if other != purpose]
    assumed = {function: assuming(world, function, world.stacks["eu-west"], purpose) for function in others}
    assert allowed(assumed, {"AccessDenied"}) == []


def test_a_function_assumes_no_role_of_the_other_region(world: World) -> None:
    assumed = {
        function: assuming(world, function, world.stacks["us-east"], purpose)
        for purpose, function in FUNCTIONS.items()
    }
    assert allowed(assumed, {"AccessDenied"}) == []


@pytest.mark.parametrize(("stack", "customer"), [("eu-west", "globex"), ("us-east", "initech")])
def test_another_customers_token_does_not_find_a_request(world: World, stack: str, customer: str) -> None:
    request = world.api("eu-west", "acme").request_erasure(["stranger-test@post.example"])
    response = world.api(stack, customer).call("GET", f"/v1/requests/{request.id}")
    assert response.status_code == httpx.codes.NOT_FOUND
    assert request.id not in {each.id for each in world.api(stack, customer).requests()}


def test_another_customers_datasets_are_not_found(world: World) -> None:
    response = world.api("eu-west", "globex").call(
        "PUT", "/v1/datasets/profiles/records/r-00001", json={"subject": "a@b", "fields": {}}
    )
    assert response.status_code == httpx.codes.NOT_FOUND


def test_a_token_of_one_region_is_worth_nothing_in_the_other(world: World) -> None:
    for mine, other in (("eu-west", "us-east"), ("us-east", "eu-west")):
        customer = next(iter(world.stacks[mine].vaults))
        api = world.api(mine, customer)
        response = httpx.get(
            f"{world.stacks[other].api_url}/v1/requests",
            headers={"Authorization": f"Bearer {api.token()}"},
            verify=api.trust,
        )
        assert response.status_code == httpx.codes.UNAUTHORIZED


def test_nobody_reads_a_bucket_without_credentials(world: World) -> None:
    api = world.api("eu-west", "acme")
    for stack in world.stacks.values():
        for vault in stack.vaults.values():
            response = httpx.get(f"{stack.endpoint}/{vault.bucket}?versions", verify=api.trust)
            assert response.status_code == httpx.codes.FORBIDDEN


def test_a_signed_url_for_one_customers_bucket_is_no_use_for_anothers(world: World) -> None:
    api = world.api("eu-west", "acme")
    place = api.call("POST", "/v1/datasets/feedback/uploads", json={"key": "feedback/aimed.jsonl"}).json()
    vaults = world.stacks["eu-west"].vaults
    url = place["url"].replace(vaults["acme"].bucket, vaults["globex"].bucket)
    assert url != place["url"]
    assert httpx.put(url, content=b"x", verify=api.trust).status_code == httpx.codes.FORBIDDEN


def test_plain_http_is_refused_by_every_vault(world: World) -> None:
    """The bucket policies refuse what does not come over TLS; the emulator's inner port speaks plain HTTP."""
    session = world.purpose_session("eu-west", "visit-objects", "visit", "acme")
    vault = world.stacks["eu-west"].vaults["acme"]
    unencrypted: Any = session
    s3 = unencrypted.client("s3", endpoint_url=world.emulator.inner_url)
    key = world.data["eu-west"].customers["acme"].files[0].key
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=vault.bucket, Key=key)
