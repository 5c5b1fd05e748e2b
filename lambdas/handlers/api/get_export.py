"""GET /v1/contract/export/{id}: how far an export has come, and where to fetch what it wrote."""

from datetime import UTC, datetime
from typing import Any, Final

from privacy.api import export_downloads, http
from privacy.api.http import Answer, Call
from privacy.exports.machine import ExportMachine
from privacy.exports.store import Export, ExportStore
from privacy.timestamps import timestamp
from privacy.vault.sessions import open_vault

_exports: Final = ExportStore.from_environment()
_machine: Final = ExportMachine.from_environment()


def get_export(call: Call) -> Answer:
    """Return the customer's export, with a download of each part where it can be fetched."""
    now = datetime.now(UTC)
    found = export_downloads.found(_exports, call.customer.id, call.path["id"])
    export = _machine.checked(call.customer.id, found, now)
    fetchable = export.state_at(now) == "completed"
    return Answer(200, export.public(now) | (_downloads(call, export, now) if fetchable else {}))


def _downloads(call: Call, export: Export, now: datetime) -> dict[str, Any]:
    vault = open_vault(call.customer, "fetch")
    return {
        "parts": export_downloads.parts(vault, export),
        "urls_expire_at": timestamp(export_downloads.urls_end(now)),
    }


handler = http.authenticated("get_export", get_export, in_grace=True)
