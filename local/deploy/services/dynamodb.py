"""DynamoDB tables, and items that the program itself declares."""

import json
from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Inputs,
    Made,
    known_keys,
    picked,
    properties,
    tag_list,
)


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return schema + ([{"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else [])


def _index(name: str, index: dict[str, Any]) -> dict[str, Any]:
    known_keys(name, index, "name hashKey rangeKey keySchemas projectionType nonKeyAttributes")
    schema = [
        {"AttributeName": key["attributeName"], "KeyType": key["keyType"]}
        for key in index.get("keySchemas") or []
    ]
    return {
        "IndexName": index["name"],
        "KeySchema": schema or _key_schema(index["hashKey"], index.get("rangeKey")),
        "Projection": picked(index, ProjectionType="projectionType", NonKeyAttributes="nonKeyAttributes"),
    }


def _table(aws: Aws, name: str, inputs: Inputs) -> Made:
    dynamodb = aws.client("dynamodb")
    table = inputs.get("name") or name
    if inputs.get("billingMode") != "PAY_PER_REQUEST":
        raise DeploymentError(
            f"aws:dynamodb/table:Table {name!r}: only billingMode PAY_PER_REQUEST is known here"
        )
    encryption = {}
    if inputs.get("serverSideEncryption"):
        settings = inputs["serverSideEncryption"]
        known_keys(name, settings, "enabled kmsKeyArn")
        encryption = {
            "SSESpecification": {
                **picked(settings, Enabled="enabled", KMSMasterKeyId="kmsKeyArn"),
                "SSEType": "KMS",
            }
        }
    created = dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_key_schema(inputs["hashKey"], inputs.get("rangeKey")),
        AttributeDefinitions=[
            {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
            for attribute in inputs["attributes"]
        ],
        Tags=tag_list(inputs),
        **picked(inputs, DeletionProtectionEnabled="deletionProtectionEnabled", TableClass="tableClass"),
        **(
            {"GlobalSecondaryIndexes": [_index(name, index) for index in inputs["globalSecondaryIndexes"]]}
            if inputs.get("globalSecondaryIndexes")
            else {}
        ),
        **encryption,
    )["TableDescription"]
    if recovery := inputs.get("pointInTimeRecovery"):
        known_keys(name, recovery, "enabled recoveryPeriodInDays")
        dynamodb.update_continuous_backups(
            TableName=table,
            PointInTimeRecoverySpecification=picked(
                recovery, PointInTimeRecoveryEnabled="enabled", RecoveryPeriodInDays="recoveryPeriodInDays"
            ),
        )
    if expiry := inputs.get("ttl"):
        known_keys(name, expiry, "enabled attributeName")
        dynamodb.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification=picked(expiry, Enabled="enabled", AttributeName="attributeName"),
        )
    return Made(table, {"name": table, "arn": created["TableArn"]})


def _item(aws: Aws, _name: str, inputs: Inputs) -> Made:
    item = json.loads(inputs["item"])
    aws.client("dynamodb").put_item(TableName=inputs["tableName"], Item=item)
    keys = [json.dumps(item[inputs[key]]) for key in ("hashKey", "rangeKey") if inputs.get(key)]
    return Made("|".join([inputs["tableName"], *keys]))


CREATORS = (
    Creator(
        token="aws:dynamodb/table:Table",
        create=_table,
        properties=properties(
            "name billingMode hashKey rangeKey attributes globalSecondaryIndexes serverSideEncryption "
            "pointInTimeRecovery ttl deletionProtectionEnabled tableClass tags"
        ),
    ),
    Creator(
        token="aws:dynamodb/tableItem:TableItem",
        create=_item,
        properties=properties("tableName hashKey rangeKey item"),
    ),
)
