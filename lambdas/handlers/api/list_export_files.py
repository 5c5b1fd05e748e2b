"""GET /v1/contract/export/{id}/files: the files that an export lists, a page at a time, each with its URL."""

from datetime import UTC, datetime
from typing import Final

from privacy.api import export_downloads, http
from privacy.api.http import Answer, Call
from privacy.exports.store import ExportStore
from privacy.timestamps import timestamp
from privacy.vault.sessions import open_vault

_exports: Final = ExportStore.from_environment()


def list_export_files(call: Call) -> Answer:
    """Return a page of the files and, where there are more, the cursor of the next."""
    now = datetime.now(UTC)
    export = export_downloads.fetchable(_exports, call.customer.id, call.path["id"], now)
    vault = open_vault(call.customer, "fetch")
    page = export_downloads.files(vault, _exports, export, call.query.get("cursor"), call.query["limit"])
    more = {} if page.cursor is None else {"next_cursor": page.cursor}
    ends = timestamp(export_downloads.urls_end(now))
    return Answer(200, {"files": page.files, "urls_expire_at": ends, **more})


handler = http.authenticated("list_export_files", list_export_files, in_grace=True)
