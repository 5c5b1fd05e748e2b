"""What a compromised function can reach, as a table: `python -m components.threats` prints it.

docs/threat-model.md holds it. What a function has comes from the catalogue and the purposes; the worst that
somebody can make of it is a judgement, and stands here beside the function's name.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from .functions.catalogue import FUNCTIONS, FunctionSpec
from .iam.purposes import PURPOSES

BEGIN: Final = "<!-- generated: python -m components.threats -->"
END: Final = "<!-- end of what is generated -->"

_DESTROYS: Final = (
    "destroy vaults of the region (no content can be read); order the deletion of vaults' keys, which can be "
    "taken back for 7 to 30 days"
)
_TAKES_REQUESTS: Final = (
    "open subject secrets, and so test who is behind a reference; read, overwrite and delete items of vault "
    "tables whose keys it can work out; make requests for anybody: destructive, recorded, carried out at once"
)
_SENDS: Final = (
    "open subject secrets, and so test who is behind a reference; read, overwrite and delete items of vault "
    "tables whose keys it can work out (records of people it knows of); list files by name; overwrite files "
    "(older versions stay)"
)
_READS_REQUESTS: Final = "read all requests of the region: references, counts, dates; no personal data"
_WRITES_REQUESTS: Final = "write anything into the request table, and so make or end requests"
_FALSE_EVIDENCE: Final = "add false evidence about it (not read, change or remove any)"

WORST_CASES: Final[Mapping[str, str]] = {
    "describe_service": "nothing",
    "put_record": _SENDS,
    "create_upload": _SENDS,
    "create_erasure_request": _TAKES_REQUESTS,
    "create_correction_request": _TAKES_REQUESTS,
    "get_request": _READS_REQUESTS,
    "list_requests": _READS_REQUESTS,
    "get_contract": "read the registry: customers, dates, names of vaults and clients; no personal data",
    "create_export": (
        "start exports for any customer, whose files nobody gets by that; read all requests; "
        f"{_WRITES_REQUESTS}"
    ),
    "get_export": "read every file and every finished export of any customer of the region",
    "list_export_files": "read every file and every finished export of any customer of the region",
    "list_unattributed_files": (
        "read the names of files that nobody can attribute, of any customer of the region"
    ),
    "export_vault": (
        "read, change and delete all records of any customer of the region, and the index, so that later "
        f"erasures miss files; read the names of all files; write exports; {_WRITES_REQUESTS}"
    ),
    "index_objects": (
        "read all files; open subject secrets; read, change and delete items whose keys it can work out;"
        " make requests"
    ),
    "plan_run": (
        "read records and index entries of anybody; write and delete items; leave work out of a plan; "
        f"{_WRITES_REQUESTS}; add false entries to the ledger (not read, change or remove any)"
    ),
    "visit_objects": "read, change and remove files and records of any customer of the region",
    "verify_run": "read records and index entries of anybody; call work verified that is not",
    "complete_run": "read and delete items; end requests as completed that are not",
    "plan_reindex": (
        "read all files and items of any customer of the region; change the index, so that later "
        "erasures miss files"
    ),
    "reindex_objects": (
        "read all files and items of any customer of the region; open subject secrets; change the index,"
        " so that later erasures miss files; make requests"
    ),
    "report_reindex": f"read and delete items; {_FALSE_EVIDENCE}",
    "clear_reindex": "read and delete items",
    "replay_erasures": (
        "read all ledgers and requests of the region (references and times); make requests for whoever is in "
        "them; write and delete items"
    ),
    "begin_vault": (
        "read and overwrite items of any customer of the region, subject secrets among them: nobody would be "
        "found any more, and whoever needs a secret refuses; list all requests"
    ),
    "check_contract_end": f"stop a contract's end by a false answer; {_FALSE_EVIDENCE}",
    "take_inventory": "count versions and items of any customer; no content",
    "freeze_contract": "freeze any customer for good; stop runs; end requests",
    "empty_bucket": _DESTROYS,
    "delete_table": f"{_DESTROYS}; delete sealed secrets from the registry, which their tables have, too",
    "schedule_key_deletion": _DESTROYS,
    "keep_key": (
        "keep the keys of destroyed vaults from being deleted, and so the last backups of their tables "
        f"readable; {_FALSE_EVIDENCE}"
    ),
    "delete_clients": "delete OAuth2 clients of any customer: IAM knows no resource smaller than the pool",
    "verify_destruction": (
        "count versions; see clients with their secrets; call a destruction complete that is not; "
        f"{_FALSE_EVIDENCE}"
    ),
    "confirm_key_deletion": f"call a key gone that is not; {_WRITES_REQUESTS}; {_FALSE_EVIDENCE}",
    "watch_contracts": (
        "start a contract's end, which judges for itself; set a customer's mark, and so freeze it"
    ),
    "remind_contract": "tell falsehoods about contracts' dates",
    "sweep_runs": "start runs; write anything into the request table, and so make or end requests",
    "redrive_run": "start runs; write anything into the request table, and so make or end requests",
}
"""The worst that somebody can do who runs code of their own in a function, by the function's module."""


def table() -> str:
    """Return the table as Markdown: each function, what it has besides its log, and the worst case."""
    rows = [f"| `{module}` | {_has(spec)} | {WORST_CASES[module]} |" for module, spec in FUNCTIONS.items()]
    return "\n".join(["| function | has | worst case |", "|---|---|---|", *rows])


def _has(spec: FunctionSpec) -> str:
    """Return in a few words what the catalogue and the function's purpose give it."""
    parts: list[str] = []
    if spec.purpose is not None:
        rights = PURPOSES[spec.purpose]
        reached = {
            "files": (*rights.objects, *rights.uploads_listing),
            "exports": rights.exports,
            "items": (*rights.table, *rights.objects_index),
            "ledger": rights.ledger,
            "key": rights.key,
        }
        acts = "; ".join(f"{what}: {_verbs(actions)}" for what, actions in reached.items() if actions)
        parts.append(f"purpose `{spec.purpose}` ({acts})" if acts else f"purpose `{spec.purpose}`")
    if spec.requests:
        parts.append(f"requests: {_verbs(spec.requests)}")
    if spec.evidence:
        parts.append("evidence: put")
    flags = {
        "starts runs": spec.starts_runs,
        "stops runs": spec.stops_runs,
        "starts exports": spec.starts_exports,
        "starts contract ends": spec.ends_contracts,
        "marks destructions": spec.marks_destruction,
        "checks contracts": spec.checks_contract,
        "checks destructions": spec.checks_destruction,
        "puts events": spec.puts_events,
        f"clients: {_verbs(spec.clients)}": bool(spec.clients),
        f"sealed secrets: {_verbs(spec.secrets)}": bool(spec.secrets),
    }
    parts += [what for what, given in flags.items() if given]
    return ", ".join(parts) or "nothing"


_VERBS: Final = {
    "Abort": "delete",
    "Cancel": "write",
    "Delete": "delete",
    "Describe": "read",
    "Get": "read",
    "List": "list",
    "Put": "write",
    "Query": "list",
    "Restore": "write",
    "Scan": "list",
    "Schedule": "delete",
    "Update": "write",
    "Write": "write",
    "ConditionCheck": "read",
}


def _verbs(actions: Iterable[str]) -> str:
    """Return what actions come to: some of read, list, write, delete, in this order."""
    found = set[str]()
    for action in actions:
        name = action.partition(":")[2]
        found |= {verb for start, verb in _VERBS.items() if name.removeprefix("Batch").startswith(start)}
        if name == "BatchWriteItem":
            found.add("delete")  # it puts and deletes
    return ", ".join(verb for verb in ("read", "list", "write", "delete") if verb in found)


if __name__ == "__main__":
    print(table())  # noqa: T201 -- it is what the command is for
