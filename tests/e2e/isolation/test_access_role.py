"""A customer's own AWS principals reach its files, with its external id, and nothing else."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.isolation.test_isolation import OTHERS, allowed, attempts
from tests.e2e.support import World

ROLE = "gdpr-eu-west-vault-acme-access"
EXTERNAL_ID = "gdpr-eu-west-acme"


@pytest.fixture(scope="module")
def session(world: World) -> boto3.Session:
    stack = world.stacks["eu-west"]
    answer = world.emulator.client("sts", stack.region).assume_role(
        RoleArn=f"arn:aws:iam::{stack.account}:role/{ROLE}",
        RoleSessionName="customer",
        ExternalId=EXTERNAL_ID,
    )["Credentials"]
    return boto3.Session(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])


def test_it_sends_lists_and_reads_its_own_files(world: World, session: boto3.Session) -> None:
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    s3: Any = world.aws(session, "s3", "eu-west-1")
    s3.put_object(Bucket=bucket, Key="feedback/own.jsonl", Body=b"{}\n")
    assert s3.get_object(Bucket=bucket, Key="feedback/own.jsonl")["Body"].read() == b"{}\n"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="feedback/own")["Contents"]
    assert [each["Key"] for each in listed] == ["feedback/own.jsonl"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="feedback/given-up.jsonl")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="feedback/given-up.jsonl", UploadId=upload)


def test_it_neither_deletes_nor_sees_older_versions_nor_reaches_the_table(
    world: World, session: boto3.Session
) -> None:
    through = allowed(attempts(world, session, world.stacks["eu-west"], "acme", "letters/own.txt"))
    world.remove("letters/own.txt")  # nobody can tell whose it is
    assert {name.split(":")[1] for name in through} <= {
        "AbortMultipartUpload",  # of its own uploads
        "GetObject",
        "HeadObject",
        "PutObject",
    }


def test_it_writes_under_its_datasets_prefixes_only(world: World, session: boto3.Session) -> None:
    bucket = world.stacks["eu-west"].vaults["acme"].bucket
    s3: Any = world.aws(session, "s3", "eu-west-1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="exports/own.jsonl", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(("stack", "customer"), OTHERS)
def test_it_opens_no_other_customers_vault(
    world: World, session: boto3.Session, stack: str, customer: str
) -> None:
    assert allowed(attempts(world, session, world.stacks[stack], customer)) == []


@pytest.mark.parametrize("external_id", [None, "gdpr-eu-west-globex", ""])
def test_it_cannot_be_assumed_without_the_external_id(world: World, external_id: str | None) -> None:
    stack = world.stacks["eu-west"]
    said = {"ExternalId": external_id} if external_id else {}
    with pytest.raises(ClientError, match="AccessDenied"):
        world.emulator.client("sts", stack.region).assume_role(
            RoleArn=f"arn:aws:iam::{stack.account}:role/{ROLE}", RoleSessionName="customer", **said
        )
