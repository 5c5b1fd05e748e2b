"""How every role within the permissions boundary is made."""

import pulumi
from pulumi_aws import iam

from ..naming import SHARED, DataClass, RegionNames


def bounded_role(
    resource: str,
    *,
    parent: pulumi.Resource,
    names: RegionNames,
    role: str,
    trusted: pulumi.Input[str],
    policy: pulumi.Input[str],
    boundary_arn: pulumi.Input[str],
    data_class: DataClass,
    customer: str = SHARED,
) -> tuple[iam.Role, iam.RolePolicy]:
    """Declare a role with one inline policy, within the boundary."""
    made = iam.Role(
        resource,
        name=role,
        assume_role_policy=trusted,
        permissions_boundary=boundary_arn,
        tags=names.tags(data_class, customer),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    granted = iam.RolePolicy(
        f"{resource}-policy",
        name="rights",
        role=made.name,
        policy=policy,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made, granted
