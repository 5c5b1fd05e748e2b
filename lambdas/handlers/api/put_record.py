"""PUT /v1/datasets/{dataset}/records/{record_id}: store a database record."""

from datetime import UTC, datetime

from privacy.api import http, intake, problems, records
from privacy.api.http import Answer, Call
from privacy.api.problems import ProblemError
from privacy.customers.references import is_named_in
from privacy.vault.sessions import open_vault


def put_record(call: Call) -> Answer:
    """Store the record in the vault, under its subject's reference."""
    dataset = call.customer.dataset(call.path["dataset"])
    if dataset is None:
        raise ProblemError(problems.NOT_FOUND, "The customer has no such dataset.")
    if dataset.format != "records":
        detail = "The dataset has files: use POST /v1/datasets/{dataset}/uploads."
        raise ProblemError(problems.WRONG_FORMAT, detail)
    subject, record_id = call.body["subject"], call.path["record_id"]
    vault = open_vault(call.customer, "ingest")
    (ref,) = intake.subject_references(call, vault.subject_secret(), {"/subject": subject})
    if is_named_in(record_id, subject, call.customer.subject_id):
        detail = "Use a record id that does not contain the subject's identifier: URLs get logged."
        raise ProblemError(problems.IDENTIFIER_IN_URL, detail)
    records.put_record(vault, dataset.name, record_id, ref, call.body["fields"], datetime.now(UTC))
    return Answer(204)


handler = http.authenticated("put_record", put_record)
