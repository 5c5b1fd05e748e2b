"""DynamoDB tables, and items that the program itself declares."""

import json
from dataclasses import replace
from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Existing,
    Inputs,
    Made,
    gone_is_fine,
    if_there,
    known_keys,
    picked,
    properties,
    retag,
    tag_list,
)

_GONE = "ResourceNotFoundException"


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
    if inputs.get("pointInTimeRecovery"):
        _set_recovery(aws, name, table, inputs["pointInTimeRecovery"])
    if inputs.get("ttl"):
        _set_expiry(aws, name, table, inputs["ttl"])
    return Made(table, {"name": table, "arn": created["TableArn"]})


def _set_recovery(aws: Aws, name: str, table: str, recovery: dict[str, Any]) -> None:
    known_keys(name, recovery, "enabled recoveryPeriodInDays")
    aws.client("dynamodb").update_continuous_backups(
        TableName=table,
        PointInTimeRecoverySpecification=picked(
            recovery, PointInTimeRecoveryEnabled="enabled", RecoveryPeriodInDays="recoveryPeriodInDays"
        ),
    )


def _set_expiry(aws: Aws, name: str, table: str, expiry: dict[str, Any]) -> None:
    known_keys(name, expiry, "enabled attributeName")
    aws.client("dynamodb").update_time_to_live(
        TableName=table,
        TimeToLiveSpecification=picked(expiry, Enabled="enabled", AttributeName="attributeName"),
    )


def _read_table(aws: Aws, table: Existing) -> Existing | None:
    return if_there(table, lambda: aws.client("dynamodb").describe_table(TableName=table.id), _GONE)


def _update_table(aws: Aws, table: Existing, inputs: Inputs) -> Made:
    dynamodb, arn = aws.client("dynamodb"), table.outputs["arn"]
    protection = inputs.get("deletionProtectionEnabled", False)
    if protection != table.inputs.get("deletionProtectionEnabled", False):
        dynamodb.update_table(TableName=table.id, DeletionProtectionEnabled=protection)
    recovery = inputs.get("pointInTimeRecovery") or {"enabled": False}
    if recovery != (table.inputs.get("pointInTimeRecovery") or {"enabled": False}):
        _set_recovery(aws, table.name, table.id, recovery)
    if inputs.get("ttl") != table.inputs.get("ttl"):
        _set_expiry(aws, table.name, table.id, inputs.get("ttl") or {**table.inputs["ttl"], "enabled": False})
    retag(
        table,
        inputs,
        tag=lambda tags: dynamodb.tag_resource(ResourceArn=arn, Tags=tag_list({"tags": tags})),
        untag=lambda keys: dynamodb.untag_resource(ResourceArn=arn, TagKeys=keys),
    )
    return table.unchanged


def _delete_table(aws: Aws, table: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("dynamodb").delete_table(TableName=table.id)


def _item(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("dynamodb").put_item(
        TableName=inputs["tableName"],
        Item=json.loads(inputs["item"]),
        ConditionExpression="attribute_not_exists(#key)",  # the provider takes over no item of others
        ExpressionAttributeNames={"#key": inputs["hashKey"]},
    )
    return Made(_item_id(inputs))


def _read_item(aws: Aws, existing: Existing) -> Existing | None:
    """As the provider: the whole item, so that the next deployment removes what others wrote beside."""
    declared, found = json.loads(existing.inputs["item"]), {}
    with gone_is_fine(_GONE):  # the table
        found = (
            aws.client("dynamodb")
            .get_item(
                TableName=existing.inputs["tableName"], Key=_item_key(existing.inputs), ConsistentRead=True
            )
            .get("Item", {})
        )
    if not found:
        return None
    if found == declared:
        return existing
    return replace(existing, inputs={**existing.inputs, "item": json.dumps(found)})


def _update_item(aws: Aws, existing: Existing, inputs: Inputs) -> Made:
    """As the provider: attributes that the program never had stay as they are."""
    dynamodb, table = aws.client("dynamodb"), inputs["tableName"]
    key, before = _item_key(inputs), _item_key(existing.inputs)
    wanted = {name: value for name, value in json.loads(inputs["item"]).items() if name not in key}
    dropped = [name for name in json.loads(existing.inputs["item"]) if name not in {*wanted, *key}]
    names = {f"#{place}": name for place, name in enumerate([*wanted, *dropped])}
    sets = [f"#{place} = :{place}" for place in range(len(wanted))]
    removes = [f"#{place}" for place in range(len(wanted), len(names))]
    values = {f":{place}": value for place, value in enumerate(wanted.values())}
    clauses = [f"{word} {', '.join(parts)}" for word, parts in (("SET", sets), ("REMOVE", removes)) if parts]
    dynamodb.update_item(
        TableName=table,
        Key=key,
        **({"UpdateExpression": " ".join(clauses), "ExpressionAttributeNames": names} if clauses else {}),
        **({"ExpressionAttributeValues": values} if values else {}),
    )
    if before != key:
        dynamodb.delete_item(TableName=table, Key=before)
    return Made(_item_id(inputs))


def _delete_item(aws: Aws, existing: Existing) -> None:
    with gone_is_fine(_GONE):  # the table
        aws.client("dynamodb").delete_item(
            TableName=existing.inputs["tableName"], Key=_item_key(existing.inputs)
        )


def _item_key(inputs: Inputs) -> dict[str, Any]:
    item = json.loads(inputs["item"])
    return {inputs[key]: item[inputs[key]] for key in ("hashKey", "rangeKey") if inputs.get(key)}


def _item_id(inputs: Inputs) -> str:
    return "|".join([inputs["tableName"], *(json.dumps(value) for value in _item_key(inputs).values())])


CREATORS = (
    Creator(
        token="aws:dynamodb/table:Table",
        create=_table,
        read=_read_table,
        properties=properties(
            "name billingMode hashKey rangeKey attributes globalSecondaryIndexes serverSideEncryption "
            "pointInTimeRecovery ttl deletionProtectionEnabled tableClass tags"
        ),
        update=_update_table,
        updatable=properties("deletionProtectionEnabled pointInTimeRecovery ttl tags"),
        delete=_delete_table,
    ),
    Creator(
        token="aws:dynamodb/tableItem:TableItem",
        create=_item,
        read=_read_item,
        properties=properties("tableName hashKey rangeKey item"),
        update=_update_item,
        updatable=properties("item"),
        delete=_delete_item,
    ),
)
