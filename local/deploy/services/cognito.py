"""Cognito: user pool, domain, resource server and clients."""

from local.deploy.creator import Aws, Creator, Inputs, Made, known_keys, pascal, picked, properties


def _pool(aws: Aws, name: str, inputs: Inputs) -> Made:
    sign_up = {}
    if inputs.get("adminCreateUserConfig"):
        known_keys(name, inputs["adminCreateUserConfig"], "allowAdminCreateUserOnly")
        sign_up = {"AdminCreateUserConfig": pascal(inputs["adminCreateUserConfig"])}
    passwords = {}
    if inputs.get("passwordPolicy"):
        passwords = {"Policies": {"PasswordPolicy": pascal(inputs["passwordPolicy"])}}
    pool = aws.client("cognito-idp").create_user_pool(
        PoolName=inputs.get("name") or name,
        UserPoolTags=inputs.get("tags") or {},
        **picked(
            inputs,
            DeletionProtection="deletionProtection",
            MfaConfiguration="mfaConfiguration",
            UserPoolTier="userPoolTier",
        ),
        **sign_up,
        **passwords,
    )["UserPool"]
    return Made(
        pool["Id"],
        {
            "arn": pool["Arn"],
            "name": pool["Name"],
            "endpoint": f"cognito-idp.{aws.region}.amazonaws.com/{pool['Id']}",
        },
    )


def _domain(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("cognito-idp").create_user_pool_domain(
        **picked(inputs, Domain="domain", UserPoolId="userPoolId", ManagedLoginVersion="managedLoginVersion")
    )
    return Made(inputs["domain"])


def _resource_server(aws: Aws, name: str, inputs: Inputs) -> Made:
    for scope in inputs.get("scopes") or []:
        known_keys(name, scope, "scopeName scopeDescription")
    aws.client("cognito-idp").create_resource_server(
        UserPoolId=inputs["userPoolId"],
        Identifier=inputs["identifier"],
        Name=inputs.get("name") or name,
        Scopes=pascal(inputs.get("scopes") or []),
    )
    identifiers = [f"{inputs['identifier']}/{scope['scopeName']}" for scope in inputs.get("scopes") or []]
    return Made(f"{inputs['userPoolId']}|{inputs['identifier']}", {"scopeIdentifiers": identifiers})


def _client(aws: Aws, name: str, inputs: Inputs) -> Made:
    units = (
        {"TokenValidityUnits": pascal(inputs["tokenValidityUnits"])}
        if inputs.get("tokenValidityUnits")
        else {}
    )
    client = aws.client("cognito-idp").create_user_pool_client(
        UserPoolId=inputs["userPoolId"],
        ClientName=inputs.get("name") or name,
        **picked(
            inputs,
            GenerateSecret="generateSecret",
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
    )["UserPoolClient"]
    return Made(
        client["ClientId"], {"name": client["ClientName"], "clientSecret": client.get("ClientSecret", "")}
    )


CREATORS = (
    Creator(
        token="aws:cognito/userPool:UserPool",
        create=_pool,
        properties=properties(
            "name tags deletionProtection mfaConfiguration userPoolTier adminCreateUserConfig passwordPolicy"
        ),
    ),
    Creator(
        token="aws:cognito/userPoolDomain:UserPoolDomain",
        create=_domain,
        properties=properties("domain userPoolId managedLoginVersion"),
    ),
    Creator(
        token="aws:cognito/resourceServer:ResourceServer",
        create=_resource_server,
        properties=properties("userPoolId identifier name scopes"),
    ),
    Creator(
        token="aws:cognito/userPoolClient:UserPoolClient",
        create=_client,
        properties=properties(
            "userPoolId name generateSecret allowedOauthFlows allowedOauthFlowsUserPoolClient "
            "allowedOauthScopes "
            "accessTokenValidity tokenValidityUnits explicitAuthFlows enableTokenRevocation "
            "preventUserExistenceErrors supportedIdentityProviders"
        ),
    ),
)
