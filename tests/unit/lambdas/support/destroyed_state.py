"""Everything that is stored in the region: kept, put back, and written down without its moments."""

import re
from typing import Any, Final

from moto.backends import get_backend

from ..region import ACCOUNT, REGION
from . import snapshots
from .contract_region import CUSTOMERS, EVIDENCE, REGISTRY, REQUESTS, Region
from .state_machine import Execution

_COUNTS: Final = ("versions", "markers", "uploads")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)|\b\d{14}\b")


def save(execution: Execution) -> Any:  # noqa: ANN401 - only good for `put_back`
    """Return everything that is stored, and where the execution stands."""
    return snapshots.take(execution)


def put_back(saved: Any) -> Execution:  # noqa: ANN401
    """Make what is stored what it was; return the execution as it was."""
    execution = snapshots.put_back(saved)
    assert isinstance(execution, Execution)
    return execution


def written_down(region: Region, execution: Execution) -> str:
    """Write down what there is and is still to come; how much was counted as deleted is not part of it."""
    kms, pool = _backend("kms"), _backend("cognito-idp").user_pools[region.pool]
    text = repr(
        {
            "objects": {name: _versions(bucket) for name, bucket in _backend("s3").buckets.items()},
            "evidence": _bodies(),
            "uploads": {name: sorted(bucket.multiparts) for name, bucket in _backend("s3").buckets.items()},
            "items": {name: items(name) for name in sorted(_backend("dynamodb").tables)},
            "keys": {c: _key_state(kms, region, c) for c in CUSTOMERS},
            "clients": sorted(pool.clients),
            "runs": [each.status for m in _backend("stepfunctions").state_machines for each in m.executions],
            "ahead": [(frame.state, frame.data, frame.items) for frame in execution.frames],
        }
    )
    return _INSTANT.sub("T", text)


def neighbour(region: Region) -> str:
    """Write down everything of the customer whose contract goes on."""
    s3, pool = _backend("s3"), _backend("cognito-idp").user_pools[region.pool]
    bucket = s3.buckets[region.bucket("globex")]
    return repr(
        (
            _versions(bucket),
            sorted(bucket.multiparts),
            items(region.table("globex")),
            _key_state(_backend("kms"), region, "globex"),
            [client for client in region.clients["globex"] if client in pool.clients],
            [item for item in items(REQUESTS) if item["pk"]["S"] == "customer#globex"],
            [item for item in items(REGISTRY) if "globex" in repr(item)],
        )
    )


def counted() -> dict[str, int]:
    """How much is counted as deleted, by kind."""
    marks = [item for item in _attributes(REGISTRY) if item["pk"]["S"] == "destruction#acme"]
    return {kind: int(mark[kind]["N"]) for mark in marks for kind in _COUNTS if kind in mark}


def items(table: str) -> list[dict[str, Any]]:
    """Every item of the table, a mark's counts left out."""
    found = sorted(_attributes(table), key=lambda item: (item["pk"]["S"], item.get("sk", {}).get("S", "")))
    return [{name: item[name] for name in sorted(item) if name not in _COUNTS} for item in found]


def _attributes(table: str) -> list[dict[str, Any]]:
    stored = _backend("dynamodb").tables[table].items.values()
    flat = [item for each in stored for item in (each.values() if isinstance(each, dict) else [each])]
    return [item.to_json()["Attributes"] for item in flat]


def _versions(bucket: Any) -> dict[str, list[str]]:  # noqa: ANN401 - moto's
    # Of evidence it counts how many versions there are: each document is to be written once.
    if bucket.name == EVIDENCE:
        return {key: ["-"] * len(bucket.keys.getlist(key)) for key in sorted(bucket.keys)}
    return {key: [each.version_id for each in bucket.keys.getlist(key)] for key in sorted(bucket.keys)}


def _bodies() -> list[str]:
    keys = _backend("s3").buckets[EVIDENCE].keys
    bodies = [each.value.decode() for key in sorted(keys) for each in keys.getlist(key)]
    return [re.sub(r'"deleted_at_least":\{[^}]*\}', "", body) for body in bodies]


def _key_state(kms: Any, region: Region, customer: str) -> str:  # noqa: ANN401 - moto's
    key = kms.keys.get(region.keys[customer].rpartition("/")[2])
    return "Gone" if key is None else str(key.key_state)


def _backend(service: str) -> Any:  # noqa: ANN401 - moto's, of several services
    return get_backend(service)[ACCOUNT]["aws" if service == "s3" else REGION]  # type: ignore[call-overload]
