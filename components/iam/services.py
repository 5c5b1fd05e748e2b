"""Rights of the roles that AWS services act under, and of a customer's own principals."""

from collections.abc import Sequence

from ..naming import RegionNames
from .documents import Statement, through

CUSTOMER_ACTIONS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket", "s3:PutObject")
"""All that a customer's access role may do with its files."""


def state_machine(
    names: RegionNames, machine: str, functions: Sequence[str], *, distributed: bool, redriven: bool
) -> list[Statement]:
    """Statements of a state machine's role: call the functions that are its steps, and log.

    `machine` and `functions` are named without the stack's prefix. A machine with a distributed map
    (`distributed`) also starts executions of itself, one a batch. One whose failed executions people redrive
    (`redriven`) then redrives its failed batches (Step Functions Developer Guide, "Redriving Map Runs").
    """
    return [
        _steps(names, functions),
        *(_batches(names, machine, redriven=redriven) if distributed else []),
        _log_delivery(),
    ]


def _batches(names: RegionNames, machine: str, *, redriven: bool) -> list[Statement]:
    executions = f"execution:{names.name(machine)}"
    follow = ["states:DescribeExecution", "states:StopExecution"]
    return [
        Statement(
            sid="StartBatches",
            why="A distributed map starts an execution of the same machine a batch.",
            actions=["states:StartExecution"],
            resources=[names.machine_arn(machine)],
        ),
        Statement(
            sid="FollowBatches",
            why="The map follows its batches, and stops them with itself"
            + ("; redriven, it redrives them." if redriven else "."),
            actions=[*follow, "states:RedriveExecution"] if redriven else follow,
            resources=[names.arn("states", f"{executions}:*"), names.arn("states", f"{executions}/*")],
        ),
    ]


def _steps(names: RegionNames, functions: Sequence[str]) -> Statement:
    return Statement(
        sid="Steps",
        why="Call the functions that are its steps.",
        actions=["lambda:InvokeFunction"],
        resources=[names.function_arn(function) for function in functions],
    )


def _log_delivery() -> Statement:
    return Statement(
        sid="DeliverLogs",
        why="Step Functions sets up the delivery of its own log; AWS has no resource for these actions.",
        actions=[
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ],
        # Step Functions Developer Guide, "Using CloudWatch Logs": these take no resource but "*".
        resources=["*"],
    )


def recurring_call(
    names: RegionNames, function: str, region_key_arn: str, *, sid: str, why: str
) -> list[Statement]:
    """Statements of the role that a schedule calls a function under; `function` is named without prefix."""
    return [
        Statement(
            sid=sid,
            why=why,
            actions=["lambda:InvokeFunction"],
            resources=[names.function_arn(function)],
        ),
        *_undelivered(names, region_key_arn),
    ]


def contract_schedules(names: RegionNames, region_key_arn: str) -> list[Statement]:
    """Statements of the role that the schedules of the contracts act under."""
    return [
        Statement(
            sid="EndContract",
            why="End a contract on the day that the stack's config says.",
            actions=["states:StartExecution"],
            resources=[names.machine_arn("contract-end")],
        ),
        Statement(
            sid="Remind",
            why="Have it said that a contract ends soon.",
            actions=["lambda:InvokeFunction"],
            resources=[names.function_arn("remind-contract")],
        ),
        *_undelivered(names, region_key_arn),
    ]


def _undelivered(names: RegionNames, region_key_arn: str) -> list[Statement]:
    """What the scheduler needs to leave a call that it could not make in the dead-letter queue."""
    return [
        Statement(
            sid="DeadLetters",
            why="Keep note of a call that could not be made.",
            actions=["sqs:SendMessage"],
            resources=[names.queue_arn("dead-letters")],
        ),
        Statement(
            sid="RegionKey",
            why="The dead-letter queue is encrypted with the region's key.",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[region_key_arn],
            conditions=through(names.region, "sqs"),
        ),
    ]


def customer_access(
    names: RegionNames, customer: str, prefixes: Sequence[str], *, ends: str
) -> list[Statement]:
    """Statements of a customer's access role: its own files, until the midnight (UTC) of the day `ends`.

    It can neither delete nor see older versions: erasure goes through the API, which records and verifies it.
    The key policy of the vault names the role for what S3 has to do with the key on its behalf. A
    customer without files may do nothing, said as a denial: IAM takes no empty policy.
    """
    bucket = f"arn:aws:s3:::{names.vault_bucket(customer)}"
    during = {"DateLessThan": {"aws:CurrentTime": f"{ends}T00:00:00Z"}}
    if not prefixes:
        return [
            Statement(
                sid="NoFiles",
                why="The customer keeps no files here.",
                effect="Deny",
                actions=CUSTOMER_ACTIONS,
                resources=[bucket, f"{bucket}/*"],
            )
        ]
    return [
        Statement(
            sid="ListFiles",
            why="See which files there are.",
            actions=["s3:ListBucket"],
            resources=[bucket],
            conditions={**during, "StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        ),
        Statement(
            sid="Files",
            why="Read and send files of its datasets.",
            actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            resources=[f"{bucket}/{prefix}*" for prefix in prefixes],
            conditions=during,
        ),
    ]
