"""GET /v1/unattributed-files: files that nobody can attribute, or not all of, and how each is mended."""

from privacy.api import http, unattributed_files
from privacy.api.http import Answer, Call
from privacy.vault.sessions import open_vault


def list_unattributed_files(call: Call) -> Answer:
    """Return a page of the files and, where there are more, the cursor of the next."""
    query = call.query
    vault = open_vault(call.customer, "list")
    page = unattributed_files.page(vault, query.get("dataset"), query.get("cursor"), query["limit"])
    more = {} if page.cursor is None else {"next_cursor": page.cursor}
    return Answer(200, {"files": page.files, **more})


handler = http.authenticated("list_unattributed_files", list_unattributed_files)
