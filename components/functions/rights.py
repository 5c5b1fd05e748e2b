"""Own rights of each function. None reaches a vault: for that it assumes the role of its one purpose."""

from lambdas.privacy import environment

from ..iam.documents import Statement, through
from ..naming import RegionNames
from .catalogue import FunctionSpec

_LOOKED_UP = ("bucket#*", "client#*", "customer#*", "customers", "destruction#*")
"""Keys of the registry's items that every function may read."""


def function_statements(
    names: RegionNames, spec: FunctionSpec, region_key_arn: str, user_pool_arn: str
) -> list[Statement]:
    """Statements of a function's own role."""
    return [
        Statement(
            sid="Log",
            why="Write its own log.",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[names.arn("logs", f"log-group:{names.function_logs(spec.name)}:*")],
        ),
        Statement(
            sid="DeadLetters",
            why="Lambda puts what it could not deliver to the function into the region's dead-letter queue.",
            actions=["sqs:SendMessage"],
            resources=[names.queue_arn("dead-letters")],
        ),
        Statement(
            sid="RegionKey",
            why="Use the tables and queues that the region's key encrypts, and the key no other way.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[region_key_arn],
            conditions=through(
                names.region, *(["dynamodb"] if spec.registry or spec.requests else []), "sqs"
            ),
        ),
        *_registry(names, spec),
        *_secrets(names, spec),
        *_destruction_check(names, spec),
        *_destruction_mark(names, spec),
        *_clients(spec, user_pool_arn),
        *_requests(names, spec),
        *_runs(names, spec),
        *_exports(names, spec),
        *_events(names, spec),
        *_contracts(names, spec),
        *_evidence(names, spec),
        *_vault(names, spec),
    ]


def _registry(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.registry:
        return []
    return [
        Statement(
            sid="Registry",
            why="Look up whose client, bucket or contract it is, and no sealed secret.",
            actions=["dynamodb:GetItem"],
            resources=[names.arn("dynamodb", f"table/{names.registry_table}")],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(_LOOKED_UP)}},
        )
    ]


def _secrets(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.secrets:
        return []
    return [
        Statement(
            sid="SealedSecrets",
            why="The sealed secrets behind subject references; each opens under its vault's key alone.",
            actions=list(spec.secrets),
            resources=[names.arn("dynamodb", f"table/{names.registry_table}")],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "secret#*"}},
        )
    ]


def _destruction_check(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.checks_destruction:
        return []
    return [
        Statement(
            sid="DestructionCheck",
            why="Keep a sealed secret only where the destruction of the vault has not begun.",
            actions=["dynamodb:ConditionCheckItem"],
            resources=[names.arn("dynamodb", f"table/{names.registry_table}")],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "destruction#*"}},
        )
    ]


def _destruction_mark(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.marks_destruction:
        return []
    return [
        Statement(
            sid="DestructionMark",
            why="Note how far the destruction of a customer's data is, and write nothing else there.",
            actions=["dynamodb:UpdateItem"],
            resources=[names.arn("dynamodb", f"table/{names.registry_table}")],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "destruction#*"}},
        ),
        *_contract_check(names, spec),
    ]


def _contract_check(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.checks_contract:
        return []
    return [
        Statement(
            sid="ContractCheck",
            why="Set the mark only where the contract is still as it was read.",
            actions=["dynamodb:ConditionCheckItem"],
            resources=[names.arn("dynamodb", f"table/{names.registry_table}")],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "customer#*"}},
        )
    ]


def _clients(spec: FunctionSpec, user_pool_arn: str) -> list[Statement]:
    if not spec.clients:
        return []
    return [
        Statement(
            sid="Clients",
            why=f"{spec.why} IAM knows no resource smaller than the pool: the function compares owners.",
            actions=list(spec.clients),
            resources=[user_pool_arn],
        )
    ]


def _requests(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.requests:
        return []
    return [
        Statement(
            sid="Requests",
            why=f"{spec.why} The table knows subject references, no personal data.",
            actions=sorted(spec.requests),
            resources=[names.arn("dynamodb", f"table/{names.request_table}")],
        )
    ]


def _runs(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    statements = []
    if spec.starts_runs:
        statements.append(
            Statement(
                sid="StartRun",
                why="Start a run where requests are pending.",
                actions=["states:StartExecution"],
                resources=[names.run_machine_arn],
            )
        )
    if spec.stops_runs:
        statements.append(
            Statement(
                sid="StopRun",
                why="Stop a run or an export whose data is about to be destroyed.",
                actions=["states:StopExecution"],
                resources=[
                    names.arn("states", f"execution:{names.name(machine)}:*") for machine in ("run", "export")
                ],
            )
        )
    if spec.watches_runs:
        statements.append(
            Statement(
                sid="WatchRun",
                why="See whether a run, or an export, that holds a lock is still going.",
                actions=["states:DescribeExecution"],
                resources=[
                    names.arn("states", f"execution:{names.name(machine)}:*") for machine in ("run", "export")
                ],
            )
        )
    return statements


def _exports(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    statements = []
    if spec.starts_exports:
        statements.append(
            Statement(
                sid="StartExport",
                why="Start an export that was asked for.",
                actions=["states:StartExecution"],
                resources=[names.machine_arn("export")],
            )
        )
    if spec.watches_exports:
        statements.append(
            Statement(
                sid="WatchExport",
                why="See whether an export that has not ended is still going.",
                actions=["states:DescribeExecution"],
                resources=[names.arn("states", f"execution:{names.name('export')}:*")],
            )
        )
    return statements


def _events(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.reads_events:
        return []
    return [
        Statement(
            sid="ObjectEvents",
            why="Lambda takes bucket events off the queue under this role; what failed comes again sooner.",
            actions=[
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
            ],
            resources=[names.queue_arn("object-events")],
        )
    ]


def _contracts(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    statements = []
    if spec.ends_contracts:
        statements.append(
            Statement(
                sid="EndContract",
                why="End a contract that is due.",
                actions=["states:StartExecution"],
                resources=[names.machine_arn("contract-end")],
            )
        )
        statements.append(
            Statement(
                sid="WatchContractEnd",
                why="See whether the end of a contract that has begun is still going on, or failed and when.",
                actions=["states:DescribeExecution"],
                resources=[names.arn("states", f"execution:{names.name('contract-end')}:*")],
            )
        )
    if spec.puts_events:
        statements.append(
            Statement(
                sid="ContractEvents",
                why="Tell of what becomes of a contract, on this bus only and in the project's name only.",
                actions=["events:PutEvents"],
                resources=[names.arn("events", f"event-bus/{names.event_bus}")],
                # A call has several entries, and so the key several values.
                conditions={"ForAllValues:StringEquals": {"events:source": environment.EVENT_SOURCE}},
            )
        )
    return statements


def _evidence(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if not spec.evidence:
        return []
    return [
        Statement(
            sid="Evidence",
            why="Write evidence, of its own kinds. It can neither read nor remove any.",
            actions=["s3:PutObject"],
            resources=[f"{names.evidence_arn}/{kind}/*" for kind in spec.evidence],
        )
    ]


def _vault(names: RegionNames, spec: FunctionSpec) -> list[Statement]:
    if spec.purpose is None:
        return []
    return [
        Statement(
            sid="Purpose",
            why="Reach one customer's vault, with a session policy that names it.",
            actions=["sts:AssumeRole"],
            resources=[names.role(f"purpose-{spec.purpose}")],
        )
    ]
