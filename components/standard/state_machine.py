"""A state machine with what belongs to each: its role, and a log of failures without data."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import sfn

from ..iam import trust
from ..iam.documents import Statement, document
from ..naming import RegionNames
from .log_group import encrypted_log_group
from .role import bounded_role


def state_machine(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    machine: str,
    rights: Sequence[Statement],
    definition: pulumi.Input[str],
    boundary_arn: pulumi.Input[str],
    region_key_arn: pulumi.Input[str],
) -> sfn.StateMachine:
    """Declare the stack's state machine of that name, which has `rights` and logs failures only."""
    logs = encrypted_log_group(
        f"{resource}-logs",
        parent=parent,
        names=names,
        group=names.machine_logs(machine),
        key_arn=region_key_arn,
    )
    role, granted = bounded_role(
        f"{resource}-role",
        parent=parent,
        names=names,
        role=names.name(machine),
        trusted=document(
            trust.by_service(names, "states.amazonaws.com", source_arns=names.machine_sources(machine))
        ),
        policy=document(rights),
        boundary_arn=boundary_arn,
        data_class="operational",
    )
    return sfn.StateMachine(
        f"{resource}-machine",
        name=names.name(machine),
        type="STANDARD",
        role_arn=role.arn,
        definition=definition,
        logging_configuration=sfn.StateMachineLoggingConfigurationArgs(
            level="ERROR",
            include_execution_data=False,
            log_destination=logs.arn.apply(lambda arn: f"{arn}:*"),
        ),
        tags=names.tags("pseudonymous"),
        # Step Functions tries the log delivery when the machine is made.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[granted]),
    )
