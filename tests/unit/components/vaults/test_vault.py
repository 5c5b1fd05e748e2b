import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from components.contracts.clock import REMINDER_DAYS
from components.settings.problems import SettingsError
from components.settings.settings import Contract, parse_settings
from components.shared.tables import customer_item
from components.standard.table import BACKUP_DAYS
from components.vaults.lifecycle import EXPORT_DAYS, NONCURRENT_DAYS, lifecycle_rules
from components.vaults.vault import indexed_files
from privacy.contracts import terms
from privacy.customers import customer as customers_customer
from privacy.exports import files as export_files

from ..programs import ACCOUNT, Deployment, Made, customers_alone, stack_config, stack_settings


@pytest.fixture
def customers(deployment: Deployment) -> list[str]:
    stack = deployment.prefix.removeprefix("gdpr-")
    return [customer["id"] for customer in stack_config(stack)["gdpr:customers"]]


def of_vault(deployment: Deployment, type_: str, customer: str) -> Made:
    (found,) = [
        m for m in deployment.of(type_) if m.name.startswith(f"{deployment.prefix}-vault-{customer}-")
    ]
    return found


def test_a_vaults_key_is_its_own_rotated_and_of_this_region_alone(
    deployment: Deployment, customers: list[str]
) -> None:
    for customer in customers:
        key = of_vault(deployment, "aws:kms/key:Key", customer).inputs
        assert key["enableKeyRotation"] is True
        assert key["multiRegion"] is False
        assert (key["keyUsage"], key["customerMasterKeySpec"]) == ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
        alias = of_vault(deployment, "aws:kms/alias:Alias", customer).inputs
        assert alias["name"] == f"alias/{deployment.prefix}-vault-{customer}"
        assert alias["targetKeyId"] == f"{deployment.prefix}-vault-{customer}-key-key-id"


def test_a_vaults_key_policy_names_its_own_bucket_and_customer(
    deployment: Deployment, customers: list[str]
) -> None:
    for customer in customers:
        policy = of_vault(deployment, "aws:kms/key:Key", customer).inputs["policy"]
        assert f'"kms:EncryptionContext:customer":"{customer}"' in policy
        assert f"arn:aws:s3:::{deployment.prefix}-vault-{customer}-{ACCOUNT}-{deployment.region}" in policy


def test_a_bucket_is_encrypted_with_the_vaults_key(deployment: Deployment, customers: list[str]) -> None:
    for customer in customers:
        settings = of_vault(
            deployment,
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            customer,
        )
        key_arn = f"arn:mock:Key:{deployment.prefix}-vault-{customer}-key"
        assert settings.inputs["rules"] == [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key_arn},
                "bucketKeyEnabled": True,
            }
        ]
        policy = of_vault(deployment, "aws:s3/bucketPolicy:BucketPolicy", customer).document()
        (other_keys,) = [s for s in policy["Statement"] if s["Sid"] == "DenyOtherKeys"]
        assert other_keys["Condition"]["StringNotEquals"] == {
            "s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn
        }


def test_a_bucket_is_versioned_private_and_its_owners(deployment: Deployment, customers: list[str]) -> None:
    for customer in customers:
        versioning = of_vault(deployment, "aws:s3/bucketVersioning:BucketVersioning", customer)
        assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
        blocked = of_vault(
            deployment, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", customer
        ).inputs
        assert {key: value for key, value in blocked.items() if key != "bucket"} == {
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }
        owner = of_vault(deployment, "aws:s3/bucketOwnershipControls:BucketOwnershipControls", customer)
        assert owner.inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_every_setting_of_a_bucket_is_of_that_bucket(deployment: Deployment, customers: list[str]) -> None:
    for customer in customers:
        bucket = f"{deployment.prefix}-vault-{customer}-{ACCOUNT}-{deployment.region}"
        settings = [
            made
            for made in deployment.made
            if made.type.startswith("aws:s3/")
            and made.name.startswith(f"{deployment.prefix}-vault-{customer}-")
        ]
        assert len(settings) == 8
        assert {made.inputs["bucket"] for made in settings} == {bucket}


def test_bucket_events_go_to_the_queue_for_each_prefix_that_holds_a_dataset(deployment: Deployment) -> None:
    for customer in stack_settings(deployment.prefix.removeprefix("gdpr-")).customers:
        events = of_vault(deployment, "aws:s3/bucketNotification:BucketNotification", customer.id)
        queues = events.inputs["queues"]
        assert [queue["filterPrefix"] for queue in queues] == list(customer.prefixes)
        for queue in queues:
            assert queue["queueArn"] == f"arn:mock:Queue:{deployment.prefix}-object-events"
            assert {event.partition(":")[2].partition(":")[0] for event in queue["events"]} == {
                "LifecycleExpiration",
                "ObjectCreated",
                "ObjectRemoved",
                "ObjectRestore",
            }


def test_a_dataset_that_is_scanned_sends_no_events() -> None:
    config = stack_config("eu-west")
    datasets = config["gdpr:customers"][0]["datasets"]
    for dataset in datasets[1:]:
        dataset["index"] = "scan"
    customer = parse_settings(config, project="gdpr", stack="eu-west").customers[0]
    assert [dataset.name for dataset in indexed_files(customer)] == []
    del datasets[1]["index"]
    customer = parse_settings(config, project="gdpr", stack="eu-west").customers[0]
    assert [dataset.name for dataset in indexed_files(customer)] == ["feedback"]


def test_events_are_set_up_once_s3_may_send_to_the_queue(deployment: Deployment) -> None:
    (policy,) = [
        made
        for made in deployment.of("aws:sqs/queuePolicy:QueuePolicy")
        if made.name.endswith("object-events-queue-policy")
    ]
    for made in deployment.of("aws:s3/bucketNotification:BucketNotification"):
        assert policy.urn in made.dependencies


def test_a_vaults_table_is_encrypted_protected_and_backed_up_for_the_declared_window(
    deployment: Deployment, customers: list[str]
) -> None:
    for customer in customers:
        table = of_vault(deployment, "aws:dynamodb/table:Table", customer).inputs
        assert table["name"] == f"{deployment.prefix}-vault-{customer}"
        key_arn = f"arn:mock:Key:{deployment.prefix}-vault-{customer}-key"
        assert table["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key_arn}
        assert table["deletionProtectionEnabled"] is True
        assert table["pointInTimeRecovery"] == {"enabled": True, "recoveryPeriodInDays": BACKUP_DAYS}
        assert 1 <= BACKUP_DAYS <= 35
        assert table["ttl"] == {"attributeName": "expires_at", "enabled": True}
        assert (table["hashKey"], table["rangeKey"], table["billingMode"]) == ("pk", "sk", "PAY_PER_REQUEST")
        (index,) = table["globalSecondaryIndexes"]
        assert (index["name"], index["projectionType"]) == ("objects", "KEYS_ONLY")
        assert [(key["attributeName"], key["keyType"]) for key in index["keySchemas"]] == [
            ("object", "HASH"),
            ("pk", "RANGE"),
        ]
        assert {attribute["name"] for attribute in table["attributes"]} == {"pk", "sk", "object"}
        assert "replicas" not in table
        assert deployment.outputs["vaults"][customer]["backupDays"] == BACKUP_DAYS


def test_only_a_customer_with_principals_has_an_access_role(deployment: Deployment) -> None:
    roles = {made.inputs["name"] for made in deployment.of("aws:iam/role:Role")}
    for customer in stack_settings(deployment.prefix.removeprefix("gdpr-")).customers:
        name = f"{deployment.prefix}-vault-{customer.id}-access"
        facts = deployment.outputs["vaults"][customer.id]
        assert (name in roles) == bool(customer.principals)
        assert facts["accessRoleArn"] == (f"arn:mock:Role:{name}" if customer.principals else None)
        assert facts["externalId"] == (f"{deployment.prefix}-{customer.id}" if customer.principals else None)
        key = of_vault(deployment, "aws:kms/key:Key", customer.id)
        assert (f"arn:mock:Role:{name}" in key.inputs["policy"]) == bool(customer.principals)


# lifecycle


def lifecycle(deployment: Deployment, customer: str) -> dict[str, Any]:
    made = of_vault(deployment, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", customer)
    rules = {rule["id"]: rule for rule in made.inputs["rules"]}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    return rules


def test_s3_clears_away_what_nobody_needs(deployment: Deployment, customers: list[str]) -> None:
    for customer in customers:
        rules = lifecycle(deployment, customer)
        assert rules["unfinished-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
        assert rules["lone-delete-markers"]["expiration"] == {"expiredObjectDeleteMarker": True}
        assert rules["older-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
        assert rules["exports"]["filter"] == {"prefix": "exports/"}
        assert rules["exports"]["expiration"] == {"days": 7}
        assert rules["exports"]["noncurrentVersionExpiration"] == {"noncurrentDays": 1}
        for name in ("unfinished-uploads", "lone-delete-markers", "older-versions", "contract-end"):
            assert rules[name]["filter"] == {"prefix": ""}, name


def test_customers_are_told_what_is_deployed() -> None:
    assert terms.NONCURRENT_DAYS == NONCURRENT_DAYS
    assert terms.REMINDER_DAYS == REMINDER_DAYS
    assert timedelta(days=EXPORT_DAYS) == export_files.LIFE


DESTRUCTION = {
    "gdpr-eu-west": {"acme": "2028-01-31", "globex": "2027-07-15"},
    "gdpr-us-east": {"initech": "2028-01-31", "umbra": "2028-03-01"},
}


def test_everything_expires_when_contract_and_grace_days_are_over(deployment: Deployment) -> None:
    days = {customer: facts["destruction"] for customer, facts in deployment.outputs["vaults"].items()}
    assert days == DESTRUCTION[deployment.prefix]
    for customer, day in days.items():
        expiration = lifecycle(deployment, customer)["contract-end"]["expiration"]
        assert expiration == {"date": f"{day}T00:00:00Z"}


@pytest.mark.parametrize(
    "ends", [date(2027, 12, 31), date(2028, 2, 28), date(2028, 2, 29), date(2026, 3, 28)]
)
@pytest.mark.parametrize("grace", [0, 1, 30, 365])
def test_nothing_expires_before_the_last_second_of_the_last_grace_day(ends: date, grace: int) -> None:
    contract = Contract(starts=date(2026, 1, 1), ends=ends, graceDays=grace)
    (rule,) = [rule for rule in lifecycle_rules(contract, contract.starts) if rule.id == "contract-end"]
    assert isinstance(rule.expiration, object)
    stated = getattr(rule.expiration, "date")  # noqa: B009 -- typed as an input that may be an output
    moment = datetime.fromisoformat(stated)
    # S3 takes midnight UTC only (S3 User Guide, "Lifecycle configuration elements").
    assert (moment.tzinfo, moment.time().isoformat()) == (UTC, "00:00:00")
    last_second = datetime(ends.year, ends.month, ends.day, 23, 59, 59, tzinfo=UTC) + timedelta(days=grace)
    assert moment - last_second == timedelta(seconds=1)


# registry


def registry(deployment: Deployment) -> dict[str, dict[str, Any]]:
    items = [json.loads(made.inputs["item"]) for made in deployment.of("aws:dynamodb/tableItem:TableItem")]
    return {item["pk"]["S"]: item for item in items}


def test_the_registry_knows_every_client_bucket_and_customer(
    deployment: Deployment, customers: list[str]
) -> None:
    items = registry(deployment)
    assert json.loads(items["customers"]["ids"]["S"]) == customers
    for customer in stack_settings(deployment.prefix.removeprefix("gdpr-")).customers:
        facts = deployment.outputs["vaults"][customer.id]
        assert items[f"bucket#{facts['bucket']}"]["customer"] == {"S": customer.id}
        clients = [client["clientId"] for client in deployment.outputs["clients"][customer.id].values()]
        (pool,) = deployment.of("aws:cognito/userPool:UserPool")
        assert items[f"customer#{customer.id}"] == customer_item(
            customer,
            bucket=facts["bucket"],
            table=facts["table"],
            key_arn=facts["keyArn"],
            user_pool=f"{pool.name}-id",
            clients=clients,
        )
        for program, client in deployment.outputs["clients"][customer.id].items():
            assert items[f"client#{client['clientId']}"] == {
                "pk": {"S": f"client#{client['clientId']}"},
                "customer": {"S": customer.id},
                "program": {"S": program},
            }
    programs = sum(len(clients) for clients in deployment.outputs["clients"].values())
    assert len(items) == 1 + 2 * len(customers) + programs


def test_the_functions_read_what_the_registry_holds() -> None:
    from privacy.customers import registry as reader

    (customer,) = [customer for customer in stack_settings("eu-west").customers if customer.id == "acme"]
    item = customer_item(customer, bucket="b", table="t", key_arn="k", user_pool="p", clients=["c2", "c1"])
    read = reader._customer({key: dict(value) for key, value in item.items()})  # type: ignore[arg-type]  # plain dicts
    assert (read.id, read.bucket, read.table, read.key_arn) == ("acme", "b", "t", "k")
    assert (read.contract_starts, read.contract_ends, read.grace_days) == (
        date(2026, 1, 1),
        date(2027, 12, 31),
        30,
    )
    assert read.destruction == datetime(2028, 1, 31, tzinfo=UTC)
    assert (read.terminated, read.hold, read.key_deletion_days) == (False, None, 30)
    assert (read.user_pool, read.clients) == ("p", ("c1", "c2"))
    assert read.subject_id == "email"
    assert [(d.name, d.format, d.prefix, d.subjects) for d in read.datasets] == [
        ("profiles", "records", None, ()),
        ("feedback", "jsonl", "feedback/", ("author.email",)),
        ("letters", "object", "letters/", ()),
        ("orders", "parquet", "orders/", ("buyer.email",)),
    ]
    assert dict(read.datasets[1].personal) == {"author.name": "name", "author.email": "email", "text": "text"}


def test_the_functions_read_the_dialect_of_a_csv_dataset() -> None:
    from privacy.customers import registry as reader

    config = stack_config("eu-west")
    csv = {"name": "a", "format": "csv", "prefix": "a/", "subject": "id", "personal": {"id": "id"}}
    dialect = {"delimiter": "\t", "columns": ["id", "text"]}
    dump = {"quote": "none", "escape": "\\", "comment": "#", "header": "caseless", "encoding": "utf-16"}
    listed = {"name": "c", "format": "jsonl", "prefix": "c/", "subject": "to[]", "personal": {"to[]": "id"}}
    config["gdpr:customers"][0]["datasets"] = [
        {**csv, "csv": dialect},
        {**csv, "name": "b", "prefix": "b/"},
        {**listed, "remove": "element"},
        {**csv, "name": "d", "prefix": "d/", "subject": ["id", "to"], "personal": {"id": "id", "to": "id"}},
        {**csv, "name": "e", "prefix": "e/", "csv": dump},
    ]
    customer = parse_settings(config, project="gdpr", stack="eu-west").customers[0]
    item = customer_item(customer, bucket="b", table="t", key_arn="k", user_pool="p", clients=[])
    read = reader._customer({key: dict(value) for key, value in item.items()})  # type: ignore[arg-type]  # plain dicts
    declared, plain, in_list, several, dumped = read.datasets
    assert declared.csv == customers_customer.CsvDialect("\t", '"', "utf-8", ("id", "text"))
    assert plain.csv == customers_customer.CsvDialect()
    assert (in_list.csv, in_list.remove, plain.remove) == (None, "element", "row")
    assert (declared.subjects, several.subjects) == (("id",), ("id", "to"))
    # The version before this one finds a single field where it looks for it, and none where it knew of one.
    before = [entry["subject"] for entry in json.loads(item["datasets"]["S"])]
    assert before == ["id", "id", "to[]", None, "id"]
    assert dumped.csv == customers_customer.CsvDialect(",", None, "utf-16", None, "#", "\\", "caseless")


def test_the_registry_holds_no_contact(deployment: Deployment) -> None:
    text = json.dumps(registry(deployment))
    for customer in stack_settings(deployment.prefix.removeprefix("gdpr-")).customers:
        assert customer.contact not in text


def test_a_restored_table_takes_the_vaults_place() -> None:
    config = stack_config("eu-west")
    config["gdpr:customers"][0]["restoredTable"] = "r20261123"
    made = customers_alone(config)
    tables = {table.name: table for table in made.of("aws:dynamodb/table:Table")}
    restored = tables["gdpr-eu-west-vault-acme-table"]  # the same resource to Pulumi: it is imported as this
    assert restored.inputs["name"] == "gdpr-eu-west-vault-acme.r20261123"
    assert restored.protect
    (item,) = [
        json.loads(i.inputs["item"])
        for i in made.of("aws:dynamodb/tableItem:TableItem")
        if i.name.endswith("acme.customer")
    ]
    assert item["table"] == {"S": "gdpr-eu-west-vault-acme.r20261123"}
    assert made.outputs["vaults"]["acme"]["table"] == "gdpr-eu-west-vault-acme.r20261123"


@pytest.mark.parametrize("name", ["R1", "r.1", "", "r" * 21, "-r"])
def test_the_restored_tables_name_has_to_fit(name: str) -> None:
    config = stack_config("eu-west")
    config["gdpr:customers"][0]["restoredTable"] = name
    with pytest.raises(SettingsError, match=r"customers\[0\].restoredTable"):
        parse_settings(config, project="gdpr", stack="eu-west")
