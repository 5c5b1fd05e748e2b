"""Answers to the provider functions that a program calls, from the emulator."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from local.deploy.creator import Aws, DeploymentError, known_keys, picked


class NoAnswerError(Exception):
    """The function has nothing to give back: the program is told, as by the provider."""


def _caller(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    identity = aws.client("sts").get_caller_identity()
    return {
        "id": identity["Account"],
        "accountId": identity["Account"],
        "arn": identity["Arn"],
        "userId": identity["UserId"],
    }


def _region(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": aws.region, "name": aws.region, "region": aws.region}


def _partition(_aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com"}


def _tagged(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    known_keys("getResources", arguments, "tagFilters resourceTypeFilters region")
    filters = []
    for tag in arguments.get("tagFilters") or []:
        known_keys("getResources: tagFilters", tag, "key values")
        filters.append(picked(tag, Key="key", Values="values"))
    pages = (
        aws.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=filters,
            # The emulator knows buckets by their service only; S3 tags nothing else in this API.
            ResourceTypeFilters=[
                "s3" if kind == "s3:bucket" else kind for kind in arguments.get("resourceTypeFilters") or []
            ],
        )
    )
    return {
        "id": aws.region,
        "resourceTagMappingLists": [
            {
                "resourceArn": found["ResourceARN"],
                "tags": {tag["Key"]: tag["Value"] for tag in found["Tags"]},
                "complianceDetails": [],
            }
            for page in pages
            for found in page["ResourceTagMappingList"]
        ],
    }


def _objects(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    known_keys("getObjects", arguments, "bucket prefix maxKeys region")
    listed = aws.client("s3").list_objects_v2(
        Bucket=arguments["bucket"], **picked(dict(arguments), Prefix="prefix", MaxKeys="maxKeys")
    )
    return {
        "id": arguments["bucket"],
        "bucket": arguments["bucket"],
        "keys": [each["Key"] for each in listed.get("Contents", [])],
        "commonPrefixes": [],
        "owners": [],
    }


def _tables(aws: Aws, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    pages = aws.client("dynamodb").get_paginator("list_tables").paginate()
    return {"id": aws.region, "names": [name for page in pages for name in page["TableNames"]]}


def _item(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    known_keys("getTableItem", arguments, "tableName key region")
    key = json.loads(arguments["key"])
    found = aws.client("dynamodb").get_item(TableName=arguments["tableName"], Key=key, ConsistentRead=True)
    if "Item" not in found:
        raise NoAnswerError(f"reading DynamoDB Table Item ({arguments['tableName']}): empty result")
    return {"id": arguments["tableName"], "item": json.dumps(found["Item"])}


def _key(aws: Aws, arguments: Mapping[str, Any]) -> dict[str, Any]:
    known_keys("getKey", arguments, "keyId region")
    found = aws.client("kms").describe_key(KeyId=arguments["keyId"])["KeyMetadata"]
    return {"id": found["KeyId"], "arn": found["Arn"], "keyState": found["KeyState"]}


_ANSWERS: Final[Mapping[str, Callable[[Aws, Mapping[str, Any]], dict[str, Any]]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:resourcegroupstaggingapi/getResources:getResources": _tagged,
    "aws:s3/getObjects:getObjects": _objects,
    "aws:dynamodb/getTables:getTables": _tables,
    "aws:dynamodb/getTableItem:getTableItem": _item,
    "aws:kms/getKey:getKey": _key,
}


def answer(aws: Aws, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider's function would answer.

    Raises DeploymentError for a function or an argument that is not known here, NoAnswerError where there is
    nothing to answer, and what the emulator refuses.
    """
    if token not in _ANSWERS:
        raise DeploymentError(f"{token}: the local deployer does not know this function")
    return _ANSWERS[token](aws, arguments)
