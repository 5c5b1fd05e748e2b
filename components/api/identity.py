"""Who may call: one OAuth2 client for each program of each customer whose contract has not ended for good."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cognito

from ..ground import Ground
from ..settings.settings import Customer
from .contract import routes

TOKEN_MINUTES = 15
"""Life of an access token. A client asks for another; a revoked client is out after so long."""


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """Customers with their programs, and the ids of those whose vault is destroyed."""

    ground: Ground
    customers: Sequence[Customer]
    destroyed: Collection[str]


class Identity(pulumi.ComponentResource):
    """Cognito user pool without users: it only gives tokens to programs (client credentials)."""

    pool_id: pulumi.Output[str]
    pool_arn: pulumi.Output[str]
    token_url: pulumi.Output[str]
    clients: Mapping[tuple[str, str], cognito.UserPoolClient]
    """Clients by customer and program."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:identity:Identity", name, None, opts)
        names = args.ground.names
        child = pulumi.ResourceOptions(parent=self)
        pool = cognito.UserPool(
            f"{name}-pool",
            name=names.prefix,
            deletion_protection="ACTIVE",
            admin_create_user_config=cognito.UserPoolAdminCreateUserConfigArgs(
                allow_admin_create_user_only=True
            ),
            tags=names.tags("operational"),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        domain = cognito.UserPoolDomain(
            f"{name}-domain", domain=names.token_domain, user_pool_id=pool.id, opts=child
        )
        scopes = routes().scopes
        server_id = next(iter(scopes)).partition("/")[0]
        server = cognito.ResourceServer(
            f"{name}-scopes",
            identifier=server_id,
            name="Privacy API",
            user_pool_id=pool.id,
            scopes=[
                cognito.ResourceServerScopeArgs(
                    scope_name=scope.removeprefix(f"{server_id}/"), scope_description=description
                )
                for scope, description in scopes.items()
            ],
            opts=child,
        )
        # A dot, which no id contains: with a hyphen, a-b of c and b of c-a would be one name.
        self.clients = {
            (customer.id, program.name): cognito.UserPoolClient(
                f"{name}-{customer.id}.{program.name}",
                name=names.name(f"{customer.id}.{program.name}"),
                user_pool_id=pool.id,
                generate_secret=True,
                allowed_oauth_flows_user_pool_client=True,
                allowed_oauth_flows=["client_credentials"],
                allowed_oauth_scopes=[f"{server_id}/{scope}" for scope in program.scopes],
                access_token_validity=TOKEN_MINUTES,
                token_validity_units=cognito.UserPoolClientTokenValidityUnitsArgs(
                    access_token="minutes"  # noqa: S106 -- a unit of time
                ),
                enable_token_revocation=True,
                prevent_user_existence_errors="ENABLED",
                # Cognito refuses a client whose scopes do not exist yet.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[server]),
            )
            for customer in args.customers
            if not customer.contract.terminated and customer.id not in args.destroyed
            for program in customer.programs
        }
        self.pool_id = pool.id
        self.pool_arn = pool.arn
        self.token_url = domain.domain.apply(
            lambda prefix: f"https://{prefix}.auth.{names.region}.amazoncognito.com/oauth2/token"
        )
        self.register_outputs({"poolArn": self.pool_arn, "tokenUrl": self.token_url})

    @property
    def client_ids(self) -> Mapping[tuple[str, str], pulumi.Output[str]]:
        """The clients' ids by customer and program."""
        return {program: client.id for program, client in self.clients.items()}

    def credentials(self) -> pulumi.Output[dict[str, Any]]:
        """Return, as a secret, client id and secret by customer and program."""
        known: dict[str, Any] = {}
        for (customer, program), client in self.clients.items():
            pair = pulumi.Output.all(clientId=client.id, clientSecret=client.client_secret)
            known.setdefault(customer, {})[program] = pair
        return pulumi.Output.secret(known)
