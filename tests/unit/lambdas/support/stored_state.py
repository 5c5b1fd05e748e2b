"""What is in the tables and buckets of a region with two customers: saved, put back, and written down."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from moto.backends import get_backend

from privacy.customers.references import subject_reference
from privacy.customers.registry import Registry
from privacy.vault import readings

from ..region import ACCOUNT, REGION, begin_vault, client, enter, enter_customer, make_bucket, make_table

REGISTRY, REQUESTS = "registry", "requests"
CUSTOMERS = ("acme", "zenith")
PEOPLE = ("anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org")
EVIDENCE = "evidence"
TABLES = (REQUESTS, *(f"vault-{customer}" for customer in CUSTOMERS))
DATASETS = [
    {"name": "profiles", "format": "records", "prefix": None, "subject": None,
     "personal": {"name": "name", "email": "email"}},
    {"name": "feedback", "format": "jsonl", "prefix": "feedback/", "subject": "author.email",
     "personal": {"author.name": "name", "author.email": "email", "text": "text"}},
    {"name": "letters", "format": "object", "prefix": "letters/", "subject": None, "personal": {}},
]  # fmt: skip

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_REFERENCE = re.compile(r"\b[0-9a-f]{64}\b")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIFFERENT_EVERY_TIME = {"expires_at", "revision", "ciphertext", "body_digest"}

Version = tuple[str, str, str]  # bucket, key, version id


def make() -> None:
    """Make tables and buckets, without anything of the customers' in them."""
    make_table(REGISTRY, sort_key=False)
    make_table(REQUESTS)
    make_bucket(EVIDENCE)
    enter(REGISTRY, "customers", ids=json.dumps(CUSTOMERS))
    for customer in CUSTOMERS:
        name = f"vault-{customer}"
        make_table(name, objects_index=True)
        make_bucket(name)
        enter_customer(
            REGISTRY,
            customer,
            bucket=name,
            table=name,
            key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{customer}",
            datasets=DATASETS,
            programs={f"{customer}-dpo": "dpo"},
        )
        begin_vault(REGISTRY, customer, table=name, key_arn="", sealed=f"sealed of {customer}".encode())
        entered = Registry(REGISTRY).customer(customer)
        assert entered is not None
        # Vaults that have been in use: their index knows all files there are.
        for prefix, reading in readings.current_readings(entered).items():
            note = {"pk": {"S": "vault"}, "sk": {"S": f"index#{prefix}"}, "reading": {"S": reading}}
            client("dynamodb").put_item(TableName=name, Item=note)


def plaintext(ciphertext: bytes) -> bytes:
    """Decrypt as the region's keys do: any ciphertext has its plaintext."""
    return hashlib.sha256(ciphertext).digest()


def save() -> Any:  # noqa: ANN401 - only good for `put_back`
    """Return everything that is stored; pickle it to keep it as it is."""
    return (
        {name: _tables()[name].items for name in TABLES},
        # As plain dictionaries: a copy of moto's own has the newest versions only.
        {name: (dict(bucket.keys.lists()), bucket.multiparts) for name, bucket in _buckets().items()},
        _s3().tagger,
    )


def put_back(saved: Any) -> None:  # noqa: ANN401
    """Make what is stored what it was."""
    tables, buckets, _s3().tagger = saved
    for name, items in tables.items():
        _tables()[name].items = items
    for name, (keys, multiparts) in buckets.items():
        bucket = _buckets()[name]
        bucket.keys, bucket.multiparts = type(bucket.keys)(), multiparts
        for key, stored in keys.items():
            bucket.keys.setlist(key, stored)


def versions() -> list[Version]:
    """Every version (not the delete markers) in every vault's bucket, a key's newest first."""
    return [
        (bucket, key, stored.version_id)
        for bucket, contents in _buckets().items()
        if bucket != EVIDENCE
        for key in sorted(contents.keys)
        for stored in reversed(contents.keys.getlist(key))
        if not _is_marker(stored)
    ]


def items(table: str) -> list[dict[str, Any]]:
    """Every item of the table."""
    partitions = _tables()[table].items.values()
    return [item.to_json()["Attributes"] for partition in partitions for item in partition.values()]


def states() -> dict[str, str]:
    """The state of every request, by id."""
    return {
        item["sk"]["S"].removeprefix("request#"): item["state"]["S"]
        for item in items(REQUESTS)
        if item["sk"]["S"].startswith("request#")
    }


def values_without_request() -> int:
    """How often a correction's values are kept for a request that did not come to be."""
    known = states()
    return sum(_is_without_request(item, known) for item in items("vault-acme"))


def contents(labels: Mapping[str, str]) -> dict[str, Any]:
    """Everything that is stored, with what differs from time to time made the same."""
    write, known = normaliser(labels), states()
    tables: dict[str, list[str]] = {}
    for name in TABLES:
        kept = [
            item for item in items(name) if not _is_barrier(item) and not _is_without_request(item, known)
        ]
        tables[name] = sorted(
            write({k: v for k, v in item.items() if k not in _DIFFERENT_EVERY_TIME}) for item in kept
        )
    objects: dict[str, Any] = {}
    for name, bucket in _buckets().items():
        if name == EVIDENCE:
            continue
        for key in sorted(bucket.keys):
            objects[f"{name}/{key}"] = [_described(stored) for stored in bucket.keys.getlist(key)]
        # One without parts holds nothing: nobody but the bucket's lifecycle can know of it.
        objects[f"unfinished uploads in {name}"] = sum(bool(u.parts) for u in bucket.multiparts.values())
    return {"tables": tables, "objects": objects, "evidence": _evidence(write)}


def normaliser(labels: Mapping[str, str]) -> Callable[[object], str]:
    """Return the function that writes a value down with what differs from time to time made the same.

    `labels` name requests by their ids.
    """
    seen: dict[tuple[str, str], int] = {}
    names = {request: f"<{label}>" for request, label in labels.items()}
    for bucket, key, version in versions():
        number = seen[bucket, key] = seen.get((bucket, key), 0) + 1
        names[version] = f"<version {number} of {key}>"
    people = _people()

    def write(value: object) -> str:
        text = _INSTANT.sub("<instant>", json.dumps(value, sort_keys=True, default=bytes.hex))
        text = _UUID.sub(lambda found: names.get(found[0], "<id>"), text)
        return _REFERENCE.sub(lambda found: people.get(found[0], found[0]), text)

    return write


def _people() -> dict[str, str]:
    """Subject reference → customer and person."""
    found = {}
    for customer in CUSTOMERS:
        for item in items(f"vault-{customer}"):
            if item["sk"]["S"] == "subject-secret":
                secret = plaintext(item["ciphertext"]["B"])
                for person in PEOPLE:
                    found[subject_reference(secret, person, "email")] = f"<{person} of {customer}>"
    return found


def _evidence(write: Callable[[object], str]) -> list[str]:
    """What the evidence says. A plan that is made again has an entry more, which only has another time."""
    entries = set()
    for stored in _buckets()[EVIDENCE].keys.values():
        document = json.loads(stored.value)
        document.pop("secret", None)
        for erasure in document.pop("erasures", [None]):
            entries.add(write([document, erasure]))
    return sorted(entries)


def _is_barrier(item: dict[str, Any]) -> bool:
    """Whether intake put the item in the way of a request, for the time until it expires."""
    return item["sk"]["S"].startswith("subjects#") and "refs" not in item and "expires_at" in item


def _is_without_request(item: dict[str, Any], known: Mapping[str, str]) -> bool:
    """Whether the item is a correction's values without the request, kept until they expire."""
    kind, _, request = item["sk"]["S"].partition("#")
    return kind == "changes" and request not in known and "expires_at" in item


def _described(stored: Any) -> object:  # noqa: ANN401 - moto's own
    if _is_marker(stored):
        return "marker"
    content = stored.value
    return (
        content if len(content) < 1000 else (len(content), hashlib.sha256(content).hexdigest()),
        {name: value for name, value in stored.metadata.items() if name != "x-amz-content-sha256"},
        stored.storage_class,
        stored.encryption,
        _s3().tagger.get_tag_dict_for_resource(stored.arn),
    )


def _is_marker(stored: object) -> bool:
    return not hasattr(type(stored), "value")


def _tables() -> Any:  # noqa: ANN401 - moto's own
    return get_backend("dynamodb")[ACCOUNT][REGION].tables


def _s3() -> Any:  # noqa: ANN401 - moto's own
    return get_backend("s3")[ACCOUNT]["aws"]


def _buckets() -> Any:  # noqa: ANN401 - moto's own
    return _s3().buckets
