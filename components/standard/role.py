"""How every role within the permissions boundary is made."""

import pulumi
from pulumi_aws import iam

from ..ground import Ground
from ..naming import SHARED, DataClass


def bounded_role(
    resource: str,
    *,
    parent: pulumi.Resource,
    ground: Ground,
    role: str,
    trusted: pulumi.Input[str],
    policy: pulumi.Input[str],
    data_class: DataClass,
    customer: str = SHARED,
) -> tuple[iam.Role, iam.RolePolicy]:
    """Declare a role with one inline policy, within the boundary; return both.

    `role` is its full name, `trusted` and `policy` are documents of IAM.
    """
    made = iam.Role(
        resource,
        name=role,
        assume_role_policy=trusted,
        permissions_boundary=ground.boundary_arn,
        tags=ground.names.tags(data_class, customer),
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
