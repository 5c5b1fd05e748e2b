"""Cognito: user pool, domain, resource server and clients."""

from typing import Any

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    gone_is_fine,
    if_there,
    known_keys,
    pascal,
    picked,
    properties,
)

_GONE = "ResourceNotFoundException"


def _pool_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    sign_up = {}
    if inputs.get("adminCreateUserConfig"):
        known_keys(name, inputs["adminCreateUserConfig"], "allowAdminCreateUserOnly")
        sign_up = {"AdminCreateUserConfig": pascal(inputs["adminCreateUserConfig"])}
    passwords = {}
    if inputs.get("passwordPolicy"):
        passwords = {"Policies": {"PasswordPolicy": pascal(inputs["passwordPolicy"])}}
    return {
        "UserPoolTags": inputs.get("tags") or {},
        **picked(
            inputs,
            DeletionProtection="deletionProtection",
            MfaConfiguration="mfaConfiguration",
            UserPoolTier="userPoolTier",
        ),
        **sign_up,
        **passwords,
    }


def _pool(aws: Aws, name: str, inputs: Inputs) -> Made:
    pool = aws.client("cognito-idp").create_user_pool(
        PoolName=inputs.get("name") or name, **_pool_settings(name, inputs)
    )["UserPool"]
    return Made(
        pool["Id"],
        {
            "arn": pool["Arn"],
            "name": pool["Name"],
            "endpoint": f"cognito-idp.{aws.region}.amazonaws.com/{pool['Id']}",
        },
    )


def _read_pool(aws: Aws, pool: Existing) -> Existing | None:
    return if_there(pool, lambda: aws.client("cognito-idp").describe_user_pool(UserPoolId=pool.id), _GONE)


def _update_pool(aws: Aws, pool: Existing, inputs: Inputs) -> Made:
    aws.client("cognito-idp").update_user_pool(UserPoolId=pool.id, **_pool_settings(pool.name, inputs))
    return pool.unchanged


def _delete_pool(aws: Aws, pool: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("cognito-idp").delete_user_pool(UserPoolId=pool.id)


def _domain(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("cognito-idp").create_user_pool_domain(
        **picked(inputs, Domain="domain", UserPoolId="userPoolId", ManagedLoginVersion="managedLoginVersion")
    )
    return Made(inputs["domain"])


def _read_domain(aws: Aws, domain: Existing) -> Existing | None:
    cognito = aws.client("cognito-idp")  # for a domain that is not there it describes nothing, in no error
    return if_there(
        domain, lambda: cognito.describe_user_pool_domain(Domain=domain.id)["DomainDescription"], _GONE
    )


def _delete_domain(aws: Aws, domain: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("cognito-idp").delete_user_pool_domain(
            Domain=domain.id, UserPoolId=domain.inputs["userPoolId"]
        )


def _server_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    for scope in inputs.get("scopes") or []:
        known_keys(name, scope, "scopeName scopeDescription")
    return {
        "UserPoolId": inputs["userPoolId"],
        "Identifier": inputs["identifier"],
        "Name": inputs.get("name") or name,
        "Scopes": pascal(inputs.get("scopes") or []),
    }


def _resource_server(aws: Aws, name: str, inputs: Inputs) -> Made:
    aws.client("cognito-idp").create_resource_server(**_server_settings(name, inputs))
    return _made_server(inputs)


def _read_resource_server(aws: Aws, server: Existing) -> Existing | None:
    known_as = picked(server.inputs, UserPoolId="userPoolId", Identifier="identifier")
    return if_there(server, lambda: aws.client("cognito-idp").describe_resource_server(**known_as), _GONE)


def _update_resource_server(aws: Aws, server: Existing, inputs: Inputs) -> Made:
    aws.client("cognito-idp").update_resource_server(**_server_settings(server.name, inputs))
    return _made_server(inputs)


def _delete_resource_server(aws: Aws, server: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("cognito-idp").delete_resource_server(
            UserPoolId=server.inputs["userPoolId"], Identifier=server.inputs["identifier"]
        )


def _made_server(inputs: Inputs) -> Made:
    identifiers = [f"{inputs['identifier']}/{scope['scopeName']}" for scope in inputs.get("scopes") or []]
    return Made(f"{inputs['userPoolId']}|{inputs['identifier']}", {"scopeIdentifiers": identifiers})


def _client_settings(name: str, inputs: Inputs) -> dict[str, Any]:
    units = (
        {"TokenValidityUnits": pascal(inputs["tokenValidityUnits"])}
        if inputs.get("tokenValidityUnits")
        else {}
    )
    return {
        "UserPoolId": inputs["userPoolId"],
        "ClientName": inputs.get("name") or name,
        **picked(
            inputs,
            AllowedOAuthFlows="allowedOauthFlows",
            AllowedOAuthFlowsUserPoolClient="allowedOauthFlowsUserPoolClient",
            AllowedOAuthScopes="allowedOauthScopes",
            AccessTokenValidity="accessTokenValidity",
            ExplicitAuthFlows="explicitAuthFlows",
            EnableTokenRevocation="enableTokenRevocation",
            PreventUserExistenceErrors="preventUserExistenceErrors",
            SupportedIdentityProviders="supportedIdentityProviders",
        ),
        **units,
    }


def _client(aws: Aws, name: str, inputs: Inputs) -> Made:
    client = aws.client("cognito-idp").create_user_pool_client(
        **_client_settings(name, inputs), **picked(inputs, GenerateSecret="generateSecret")
    )["UserPoolClient"]
    return Made(
        client["ClientId"], {"name": client["ClientName"], "clientSecret": client.get("ClientSecret", "")}
    )


def _read_client(aws: Aws, client: Existing) -> Existing | None:
    known_as = {"UserPoolId": client.inputs["userPoolId"], "ClientId": client.id}
    return if_there(client, lambda: aws.client("cognito-idp").describe_user_pool_client(**known_as), _GONE)


def _update_client(aws: Aws, client: Existing, inputs: Inputs) -> Made:
    aws.client("cognito-idp").update_user_pool_client(
        ClientId=client.id, **_client_settings(client.name, inputs)
    )
    return Made(client.id, {**client.outputs, "name": inputs.get("name") or client.name})


def _delete_client(aws: Aws, client: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("cognito-idp").delete_user_pool_client(
            UserPoolId=client.inputs["userPoolId"], ClientId=client.id
        )


CREATORS = (
    Creator(
        token="aws:cognito/userPool:UserPool",
        create=_pool,
        read=_read_pool,
        properties=properties(
            "name tags deletionProtection mfaConfiguration userPoolTier adminCreateUserConfig passwordPolicy"
        ),
        update=_update_pool,
        updatable=properties(
            "tags deletionProtection mfaConfiguration userPoolTier adminCreateUserConfig passwordPolicy"
        ),
        delete=_delete_pool,
    ),
    Creator(
        token="aws:cognito/userPoolDomain:UserPoolDomain",
        create=_domain,
        read=_read_domain,
        properties=properties("domain userPoolId managedLoginVersion"),
        delete=_delete_domain,
    ),
    Creator(
        token="aws:cognito/resourceServer:ResourceServer",
        create=_resource_server,
        read=_read_resource_server,
        properties=properties("userPoolId identifier name scopes"),
        update=_update_resource_server,
        updatable=properties("name scopes"),
        delete=_delete_resource_server,
    ),
    Creator(
        token="aws:cognito/userPoolClient:UserPoolClient",
        create=_client,
        read=_read_client,
        properties=properties(
            "userPoolId name generateSecret allowedOauthFlows allowedOauthFlowsUserPoolClient "
            "allowedOauthScopes "
            "accessTokenValidity tokenValidityUnits explicitAuthFlows enableTokenRevocation "
            "preventUserExistenceErrors supportedIdentityProviders"
        ),
        update=_update_client,
        updatable=properties(
            "name allowedOauthFlows allowedOauthFlowsUserPoolClient allowedOauthScopes accessTokenValidity "
            "tokenValidityUnits explicitAuthFlows enableTokenRevocation preventUserExistenceErrors "
            "supportedIdentityProviders"
        ),
        delete=_delete_client,
    ),
)
