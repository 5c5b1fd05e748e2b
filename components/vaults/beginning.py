"""The call with which a deployment has a vault begun: its subject secret is made, or found to be there."""

import json
from collections.abc import Iterable, Mapping, Sequence

import pulumi
from pulumi_aws import lambda_

from ..settings.settings import Customer
from .vault import CustomerVault


def begin_vaults(
    name: str,
    customers: Iterable[Customer],
    vaults: Mapping[str, CustomerVault],
    function: pulumi.Input[str],
    *,
    after: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
) -> None:
    """Have the function of that name called once for each vault, and again for another table or key.

    `after` is what the function is, and works with. A failed call fails the deployment: nobody could be found
    in such a vault.
    """
    for customer in customers:
        vault = vaults[customer.id]
        lambda_.Invocation(
            f"{name}-vault-{customer.id}-beginning",
            function_name=function,
            input=json.dumps({"customer": customer.id}),
            triggers={"table": vault.table, "key": vault.key_arn},
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[*after, vault]),
        )
