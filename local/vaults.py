"""What lies in a vault, read as the account's root: baselines and checks of the demo and the tests."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from local.emulator.emulator import Emulator
from local.stacks import Stack


class VaultView:
    """One customer's bucket and table."""

    def __init__(self, emulator: Emulator, stack: Stack, customer: str) -> None:
        self._s3 = emulator.client("s3", stack.region)
        self._dynamodb = emulator.client("dynamodb", stack.region)
        self._facts = stack.vaults[customer]

    def versions(self) -> dict[tuple[str, str], str]:
        """SHA-256 of every object version by key and version id; "delete marker" for a delete marker."""
        found: dict[tuple[str, str], str] = {}
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._facts.bucket):
            for version in page.get("Versions", []):
                body = self.body(version["Key"], version["VersionId"])
                found[version["Key"], version["VersionId"]] = hashlib.sha256(body).hexdigest()
            for marker in page.get("DeleteMarkers", []):
                found[marker["Key"], marker["VersionId"]] = "delete marker"
        return found

    def body(self, key: str, version: str | None = None) -> bytes:
        """An object's bytes, by default the newest version's."""
        which = {"VersionId": version} if version else {}
        return bytes(self._s3.get_object(Bucket=self._facts.bucket, Key=key, **which)["Body"].read())

    def items(self) -> Iterator[Mapping[str, Any]]:
        """Every item of the table, in DynamoDB's own notation."""
        for page in self._dynamodb.get_paginator("scan").paginate(
            TableName=self._facts.table, ConsistentRead=True
        ):
            yield from page["Items"]

    def digests(self) -> dict[tuple[str, str], str]:
        """SHA-256 of every item by partition and sort key."""
        return {
            (item["pk"]["S"], item["sk"]["S"]): hashlib.sha256(
                json.dumps(item, sort_keys=True, default=repr).encode()
            ).hexdigest()
            for item in self.items()
        }

    def records(self) -> dict[str, dict[str, Any]]:
        """Fields of every record by `<dataset>/<id>`."""
        return {
            item["sk"]["S"].removeprefix("record#"): json.loads(item["fields"]["S"])
            for item in self.items()
            if item["sk"]["S"].startswith("record#")
        }

    def index_entries(self) -> int:
        """How many "this object holds rows of this subject" entries there are."""
        return sum(item["sk"]["S"].startswith("object#") for item in self.items())

    def entries_of(self, key: str, version: str) -> int:
        """How many index entries one version of an object has."""
        return sum(
            item["sk"]["S"] == f"object#{key}" and item["version_id"]["S"] == version for item in self.items()
        )

    def partition(self, reference: str) -> set[str]:
        """Sort keys of what the table has about one subject reference."""
        return {item["sk"]["S"] for item in self.items() if item["pk"]["S"] == f"subject#{reference}"}


def references_of(emulator: Emulator, stack: Stack, customer: str, request_id: str) -> list[str]:
    """The subject references that a request is about."""
    item = emulator.client("dynamodb", stack.region).get_item(
        TableName=f"{stack.prefix}-requests",
        Key={"pk": {"S": f"customer#{customer}"}, "sk": {"S": f"subjects#{request_id}"}},
        ConsistentRead=True,
    )["Item"]
    return [reference["S"] for reference in item["refs"]["L"]]
