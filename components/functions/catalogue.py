"""Every function of a region, in one table: what it runs, how much of it, and what it may reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..iam.purposes import Purpose

Wing = Literal["api", "contracts", "exports", "index", "reindex", "run"]
"""Folders of `lambdas/handlers`."""

Package = Literal["api", "runs", "rows"]
"""Deployment packages; `make build` makes one folder each."""

API_TIMEOUT: Final = 28
"""Seconds; API Gateway itself waits 29 (quota "maximum integration timeout" of regional REST APIs)."""

LONGEST_TIMEOUT: Final = 900
"""Seconds; Lambda's own limit."""

LARGEST_DISK: Final = 10_240
"""MiB of /tmp; Lambda's own limit (quota "/tmp directory storage"). A parquet file that does not fit cannot
be visited, and next to 1 GiB of memory all of it costs about a fiftieth more."""


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """One function.

    `memory` and `disk` (/tmp; Lambda's own 512 where None) are in MiB and `timeout` in seconds. `requests`
    are DynamoDB actions on the request table; a function that starts runs also takes and returns a
    customer's run lock there. One that `checks_contract` sets a mark only where the contract is as it was
    read; one that `checks_destruction` keeps a secret only where no mark is set. `clients` are Cognito
    actions on OAuth2 clients. One that ends contracts starts the machine that does it; one that puts events
    puts them on the bus of contracts. `evidence` are the kinds of evidence that it writes. `secrets` are
    DynamoDB actions on the vaults' sealed secrets in the registry.
    """

    wing: Wing
    module: str
    package: Package
    why: str
    memory: int = 512
    disk: int | None = None
    timeout: int = API_TIMEOUT
    registry: bool = True
    requests: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    marks_destruction: bool = False
    checks_contract: bool = False
    checks_destruction: bool = False
    clients: tuple[str, ...] = ()
    starts_runs: bool = False
    stops_runs: bool = False
    watches_runs: bool = False
    starts_exports: bool = False
    watches_exports: bool = False
    reads_events: bool = False
    ends_contracts: bool = False
    puts_events: bool = False
    evidence: tuple[str, ...] = ()
    purpose: Purpose | None = None

    @property
    def name(self) -> str:
        """The function's name without the stack's prefix."""
        return self.module.replace("_", "-")

    @property
    def path(self) -> str:
        """The dotted name of the function's module."""
        return f"handlers.{self.wing}.{self.module}"

    @property
    def handler(self) -> str:
        """What Lambda calls."""
        return f"{self.path}.handler"


_PENDING: Final = ("dynamodb:BatchGetItem", "dynamodb:Query")
"""To read the pending requests."""

_TAKE_LOCK: Final = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""To take a customer's run lock, and to give it back where no run could be started."""

_READ_SECRET: Final = ("dynamodb:GetItem",)
"""To read the sealed secret behind a vault's subject references."""

_FUNCTIONS: Final = (
    FunctionSpec(
        wing="api",
        module="describe_service",
        package="api",
        why="Say that the service is there, and what it offers.",
        memory=256,
        registry=False,
    ),
    FunctionSpec(
        wing="api",
        module="put_record",
        package="api",
        why="Store a database record.",
        secrets=_READ_SECRET,
        purpose="ingest",
    ),
    FunctionSpec(
        wing="api",
        module="create_upload",
        package="api",
        why="Sign the upload of a file.",
        secrets=_READ_SECRET,
        purpose="ingest",
    ),
    FunctionSpec(
        wing="api",
        module="create_erasure_request",
        package="api",
        why="Take an erasure request and start a run.",
        requests=("dynamodb:GetItem", *_TAKE_LOCK),
        starts_runs=True,
        secrets=_READ_SECRET,
        purpose="intake",
    ),
    FunctionSpec(
        wing="api",
        module="create_correction_request",
        package="api",
        why="Take a correction request and start a run.",
        requests=("dynamodb:GetItem", *_TAKE_LOCK),
        starts_runs=True,
        secrets=_READ_SECRET,
        purpose="intake",
    ),
    FunctionSpec(
        wing="api",
        module="get_request",
        package="api",
        why="Show one request of the caller.",
        requests=("dynamodb:GetItem",),
    ),
    FunctionSpec(
        wing="api",
        module="list_requests",
        package="api",
        why="List the caller's requests.",
        requests=("dynamodb:Query",),
    ),
    FunctionSpec(
        wing="api", module="get_contract", package="api", why="Say until when the caller's data is kept."
    ),
    FunctionSpec(
        wing="api",
        module="create_export",
        package="api",
        why="Start an export of everything that the caller has sent.",
        requests=("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
        starts_exports=True,
        watches_exports=True,
    ),
    FunctionSpec(
        wing="api",
        module="get_export",
        package="api",
        why="Show an export of the caller, and sign the downloads of what was written.",
        requests=("dynamodb:GetItem",),
        watches_exports=True,
        purpose="fetch",
    ),
    FunctionSpec(
        wing="api",
        module="list_export_files",
        package="api",
        why="Sign the downloads of the files that an export lists.",
        requests=("dynamodb:GetItem",),
        purpose="fetch",
    ),
    FunctionSpec(
        wing="api",
        module="list_unattributed_files",
        package="api",
        why="List the caller's files that nobody can attribute, and how each is mended.",
        purpose="list",
    ),
    FunctionSpec(
        wing="index",
        module="index_objects",
        package="rows",
        why="Keep the index of who is in which object, from bucket events.",
        memory=1024,
        disk=LARGEST_DISK,
        timeout=LONGEST_TIMEOUT,
        requests=("dynamodb:GetItem", *_TAKE_LOCK),
        starts_runs=True,
        reads_events=True,
        secrets=_READ_SECRET,
        purpose="index",
    ),
    FunctionSpec(
        wing="run",
        module="plan_run",
        package="runs",
        why="Find what a run has to visit.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem", "dynamodb:UpdateItem"),
        evidence=("ledger",),
        secrets=_READ_SECRET,
        purpose="plan",
    ),
    FunctionSpec(
        wing="run",
        module="visit_objects",
        package="rows",
        why="Visit objects and records, each once, and do what the requests ask.",
        memory=1769,  # one whole CPU (Lambda Developer Guide, "Configure Lambda function memory")
        disk=LARGEST_DISK,
        timeout=LONGEST_TIMEOUT,
        secrets=_READ_SECRET,
        purpose="visit",
    ),
    FunctionSpec(
        wing="run",
        module="verify_run",
        package="runs",
        why="Read back whether a run did what it says.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem"),
        purpose="verify",
    ),
    FunctionSpec(
        wing="run",
        module="complete_run",
        package="runs",
        why="End a run's requests and start the next run.",
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem", *_TAKE_LOCK, "dynamodb:UpdateItem"),
        starts_runs=True,
        purpose="close",
    ),
    FunctionSpec(
        wing="reindex",
        module="plan_reindex",
        package="runs",
        why="Find which objects a reindex has to compare with the index.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        purpose="reindex",
    ),
    FunctionSpec(
        wing="reindex",
        module="reindex_objects",
        package="rows",
        why="Compare objects with the index, and put the index right.",
        memory=1769,  # one whole CPU, as for a visit
        disk=LARGEST_DISK,
        timeout=LONGEST_TIMEOUT,
        requests=("dynamodb:GetItem", *_TAKE_LOCK),
        starts_runs=True,
        secrets=_READ_SECRET,
        purpose="reindex",
    ),
    FunctionSpec(
        wing="reindex",
        module="report_reindex",
        package="runs",
        why="Write down as evidence how an index differed from the objects.",
        timeout=LONGEST_TIMEOUT,
        evidence=("reindex",),
        purpose="close",
    ),
    FunctionSpec(
        wing="reindex",
        module="clear_reindex",
        package="runs",
        why="Remove what a reindex had written down.",
        timeout=LONGEST_TIMEOUT,
        purpose="close",
    ),
    FunctionSpec(
        wing="run",
        module="replay_erasures",
        package="runs",
        why="After a restoration, ask again for the erasures that it undid.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        requests=("dynamodb:GetItem", "dynamodb:Query", *_TAKE_LOCK),
        starts_runs=True,
        evidence=("replay",),
        secrets=_READ_SECRET,
        purpose="replay",
    ),
    # The deployment calls it, once a vault.
    FunctionSpec(
        wing="contracts",
        module="begin_vault",
        package="runs",
        why="See to it that a vault has its subject secret, before anybody uses the vault.",
        timeout=LONGEST_TIMEOUT,
        requests=("dynamodb:Query",),
        secrets=("dynamodb:GetItem", "dynamodb:PutItem"),
        checks_destruction=True,
        purpose="begin",
    ),
    FunctionSpec(
        wing="contracts",
        module="check_contract_end",
        package="runs",
        why="Read a contract again before anything of its customer is destroyed.",
        evidence=("contract-end",),
    ),
    FunctionSpec(
        wing="contracts",
        module="take_inventory",
        package="runs",
        why="Count what a contract's end would destroy.",
        timeout=LONGEST_TIMEOUT,
        purpose="witness",
    ),
    FunctionSpec(
        wing="contracts",
        module="freeze_contract",
        package="runs",
        why="Stop all work on the vault of a customer whose contract is over.",
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem", *_TAKE_LOCK, "dynamodb:UpdateItem"),
        marks_destruction=True,
        checks_contract=True,
        puts_events=True,
        stops_runs=True,
        purpose="witness",
    ),
    FunctionSpec(
        wing="contracts",
        module="empty_bucket",
        package="runs",
        why="Delete every version in the vault of a customer whose contract is over.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        marks_destruction=True,
        purpose="destroy",
    ),
    FunctionSpec(
        wing="contracts",
        module="delete_table",
        package="runs",
        why="Delete the table of a vault whose customer's contract is over.",
        timeout=60,
        marks_destruction=True,
        secrets=("dynamodb:DeleteItem",),
        purpose="destroy",
    ),
    FunctionSpec(
        wing="contracts",
        module="delete_clients",
        package="runs",
        why="Delete the OAuth2 clients of a customer whose contract is over.",
        timeout=60,
        clients=("cognito-idp:DeleteUserPoolClient",),
    ),
    FunctionSpec(
        wing="contracts",
        module="schedule_key_deletion",
        package="runs",
        why="Order the deletion of the key of a vault that was destroyed.",
        timeout=60,
        marks_destruction=True,
        purpose="destroy",
    ),
    FunctionSpec(
        wing="contracts",
        module="keep_key",
        package="runs",
        why="Take back the order to delete a vault's key, because a hold has come.",
        timeout=60,
        marks_destruction=True,
        evidence=("contract-end",),
        purpose="keep",
    ),
    FunctionSpec(
        wing="contracts",
        module="verify_destruction",
        package="runs",
        why="Read back that nothing is left of a vault but a key that is about to go.",
        timeout=LONGEST_TIMEOUT,
        requests=_PENDING,
        secrets=_READ_SECRET,
        marks_destruction=True,
        puts_events=True,
        clients=("cognito-idp:DescribeUserPoolClient",),
        evidence=("contract-end",),
        purpose="witness",
    ),
    FunctionSpec(
        wing="contracts",
        module="confirm_key_deletion",
        package="runs",
        why="See that the key of a vault is gone.",
        timeout=60,
        requests=(*_PENDING, "dynamodb:DeleteItem", "dynamodb:UpdateItem"),
        marks_destruction=True,
        puts_events=True,
        evidence=("contract-end",),
        purpose="witness",
    ),
    FunctionSpec(
        wing="exports",
        module="export_vault",
        package="runs",
        why="Write down all records of a customer and a list of all its files.",
        memory=1024,
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem", *_TAKE_LOCK, "dynamodb:UpdateItem"),
        starts_runs=True,
        purpose="export",
    ),
    FunctionSpec(
        wing="run",
        module="sweep_runs",
        package="runs",
        why="Start what is pending without a run, and free the locks of runs that died.",
        timeout=60,
        requests=(*_PENDING, "dynamodb:GetItem", *_TAKE_LOCK, "dynamodb:UpdateItem"),
        starts_runs=True,
        watches_runs=True,
    ),
    FunctionSpec(
        wing="contracts",
        module="watch_contracts",
        package="runs",
        why="End the contracts that are due and that nobody ended; tell of those that are held or late.",
        timeout=60,
        marks_destruction=True,
        ends_contracts=True,
    ),
    FunctionSpec(
        wing="contracts",
        module="remind_contract",
        package="runs",
        why="Say that a contract ends soon, if it still does.",
        timeout=60,
        puts_events=True,
    ),
    FunctionSpec(
        wing="run",
        module="redrive_run",
        package="runs",
        why="Have the requests that failed in a run taken up again; the operator calls it.",
        timeout=LONGEST_TIMEOUT,
        requests=(*_PENDING, "dynamodb:GetItem", *_TAKE_LOCK, "dynamodb:UpdateItem"),
        starts_runs=True,
    ),
)

FUNCTIONS: Final[Mapping[str, FunctionSpec]] = {spec.module: spec for spec in _FUNCTIONS}
"""The functions by their module's name."""
