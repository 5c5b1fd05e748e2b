"""The step of an export: write down all records, and list all files."""

from typing import Any, Final

from privacy.aws.failures import reported
from privacy.aws.time_left import Context
from privacy.customers.registry import Registry, UnknownCustomerError
from privacy.exports.store import ExportStore
from privacy.exports.write import DestructionBegunError, Exporter
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.vault.sessions import open_vault

_registry: Final = Registry.from_environment()
_requests: Final = RequestStore.from_environment()
_exports: Final = ExportStore.from_environment()
_lock: Final = RunLock.from_environment()


@reported("export")
def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """{customer, export_id, execution} → the ids with what comes `next`, and for how many `seconds` to wait.

    With an `error`, which the export was given up with, it ends as failed.
    """
    customer = _registry.customer(event["customer"])
    if customer is None:
        raise UnknownCustomerError
    vault, export_id = open_vault(customer, "export"), event["export_id"]
    exporter = Exporter(vault, export_id, _exports, _requests, _lock)
    ids = {"customer": customer.id, "export_id": export_id}
    if "error" in event:
        exporter.give_up()
        return {**ids, "next": "done"}
    if _registry.destruction(customer.id) is not None:
        raise DestructionBegunError("the customer's data is being destroyed")
    return {**ids, **exporter.go_on(event["execution"], context.get_remaining_time_in_millis)}
