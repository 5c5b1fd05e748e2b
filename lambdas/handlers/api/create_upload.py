"""POST /v1/datasets/{dataset}/uploads: a presigned URL for one file of a dataset."""

from datetime import UTC, datetime

from privacy.api import http, intake, problems, uploads
from privacy.api.http import Answer, Call
from privacy.api.problems import ProblemError
from privacy.customers.references import is_named_in
from privacy.timestamps import timestamp
from privacy.vault.sessions import open_vault


def create_upload(call: Call) -> Answer:
    """Sign a PUT for the key, and for the subject where the dataset's files are one subject's each."""
    dataset = call.customer.dataset(call.path["dataset"])
    if dataset is None:
        raise ProblemError(problems.NOT_FOUND, "The customer has no such dataset.")
    key, subject = call.body["key"], call.body.get("subject")
    intake.raise_faults(uploads.faults(dataset, key, subject))
    vault = open_vault(call.customer, "ingest", uploads=dataset.prefix)
    ref = None
    if subject is not None:
        (ref,) = intake.subject_references(call, vault.subject_secret(), {"/subject": subject})
        if is_named_in(key, subject, call.customer.subject_id):
            detail = "Use a key that does not contain the subject's identifier: URLs get logged."
            raise ProblemError(problems.IDENTIFIER_IN_URL, detail)
    upload = uploads.presign(vault, key, ref, datetime.now(UTC))
    body = {
        "url": upload.url,
        "method": "PUT",
        "headers": upload.headers,
        "expires_at": timestamp(upload.expires_at),
    }
    return Answer(200, body)


handler = http.authenticated("create_upload", create_upload)
