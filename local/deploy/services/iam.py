"""IAM roles and policies: the same for every region of the account."""

from local.deploy.creator import (
    Aws,
    Creator,
    Existing,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    picked,
    properties,
    retag,
    tag_list,
)

_GONE = "NoSuchEntity"

_VERSIONS = 5
"""The versions that a managed policy may have; the provider drops the oldest for a new one."""


def _role(aws: Aws, name: str, inputs: Inputs) -> Made:
    iam = aws.client("iam")
    role = iam.create_role(
        RoleName=inputs.get("name") or name,
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=tag_list(inputs),
        **picked(
            inputs,
            Path="path",
            Description="description",
            MaxSessionDuration="maxSessionDuration",
            PermissionsBoundary="permissionsBoundary",
        ),
    )["Role"]
    for policy in inputs.get("managedPolicyArns") or []:
        iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=policy)
    return Made(role["RoleName"], {"name": role["RoleName"], "arn": role["Arn"], "uniqueId": role["RoleId"]})


def _read_role(aws: Aws, role: Existing) -> Existing | None:
    return if_there(role, lambda: aws.client("iam").get_role(RoleName=role.id), _GONE)


def _update_role(aws: Aws, role: Existing, inputs: Inputs) -> Made:
    iam = aws.client("iam")

    def changed(key: str) -> bool:
        return bool(inputs.get(key) != role.inputs.get(key))

    if changed("assumeRolePolicy"):
        iam.update_assume_role_policy(RoleName=role.id, PolicyDocument=inputs["assumeRolePolicy"])
    if changed("permissionsBoundary"):
        if inputs.get("permissionsBoundary"):
            iam.put_role_permissions_boundary(
                RoleName=role.id, PermissionsBoundary=inputs["permissionsBoundary"]
            )
        else:
            iam.delete_role_permissions_boundary(RoleName=role.id)
    if changed("description") or changed("maxSessionDuration"):
        iam.update_role(
            RoleName=role.id,
            Description=inputs.get("description") or "",
            MaxSessionDuration=inputs.get("maxSessionDuration") or 3600,
        )
    before = set(role.inputs.get("managedPolicyArns") or [])
    after = set(inputs.get("managedPolicyArns") or [])
    for policy in sorted(before - after):
        iam.detach_role_policy(RoleName=role.id, PolicyArn=policy)
    for policy in sorted(after - before):
        iam.attach_role_policy(RoleName=role.id, PolicyArn=policy)
    retag(
        role,
        inputs,
        tag=lambda tags: iam.tag_role(RoleName=role.id, Tags=tag_list({"tags": tags})),
        untag=lambda keys: iam.untag_role(RoleName=role.id, TagKeys=keys),
    )
    return role.unchanged


def _delete_role(aws: Aws, role: Existing) -> None:
    iam = aws.client("iam")
    with gone_is_fine(_GONE):
        for policy in role.inputs.get("managedPolicyArns") or []:
            iam.detach_role_policy(RoleName=role.id, PolicyArn=policy)
        iam.delete_role(RoleName=role.id)


def _role_policy(aws: Aws, name: str, inputs: Inputs) -> Made:
    policy = inputs.get("name") or name
    aws.client("iam").put_role_policy(
        RoleName=inputs["role"], PolicyName=policy, PolicyDocument=inputs["policy"]
    )
    return Made(f"{inputs['role']}:{policy}", {"name": policy})


def _read_role_policy(aws: Aws, policy: Existing) -> Existing | None:
    known_as = {"RoleName": policy.inputs["role"], "PolicyName": policy.outputs["name"]}
    return if_there(policy, lambda: aws.client("iam").get_role_policy(**known_as), _GONE)


def _delete_role_policy(aws: Aws, policy: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("iam").delete_role_policy(
            RoleName=policy.inputs["role"], PolicyName=policy.outputs["name"]
        )


def _policy(aws: Aws, name: str, inputs: Inputs) -> Made:
    policy = aws.client("iam").create_policy(
        PolicyName=inputs.get("name") or name,
        PolicyDocument=inputs["policy"],
        Tags=tag_list(inputs),
        **picked(inputs, Path="path", Description="description"),
    )["Policy"]
    return Made(
        policy["Arn"], {"arn": policy["Arn"], "name": policy["PolicyName"], "policyId": policy["PolicyId"]}
    )


def _read_policy(aws: Aws, policy: Existing) -> Existing | None:
    return if_there(policy, lambda: aws.client("iam").get_policy(PolicyArn=policy.id), _GONE)


def _update_policy(aws: Aws, policy: Existing, inputs: Inputs) -> Made:
    iam = aws.client("iam")
    if inputs["policy"] != policy.inputs["policy"]:
        others = _other_versions(aws, policy.id)
        if len(others) + 1 >= _VERSIONS:
            iam.delete_policy_version(PolicyArn=policy.id, VersionId=others[0])
        iam.create_policy_version(PolicyArn=policy.id, PolicyDocument=inputs["policy"], SetAsDefault=True)
    retag(
        policy,
        inputs,
        tag=lambda tags: iam.tag_policy(PolicyArn=policy.id, Tags=tag_list({"tags": tags})),
        untag=lambda keys: iam.untag_policy(PolicyArn=policy.id, TagKeys=keys),
    )
    return policy.unchanged


def _other_versions(aws: Aws, arn: str) -> list[str]:
    """The versions that are not in force, the oldest first."""
    versions = aws.client("iam").list_policy_versions(PolicyArn=arn)["Versions"]
    others = [each["VersionId"] for each in versions if not each["IsDefaultVersion"]]
    return sorted(others, key=lambda version: int(version.removeprefix("v")))


def _delete_policy(aws: Aws, policy: Existing) -> None:
    iam = aws.client("iam")
    with gone_is_fine(_GONE):
        for version in _other_versions(aws, policy.id):
            iam.delete_policy_version(PolicyArn=policy.id, VersionId=version)
        iam.delete_policy(PolicyArn=policy.id)


def _attachment(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return Made(f"{inputs['role']}-{inputs['policyArn']}")


def _read_attachment(aws: Aws, attachment: Existing) -> Existing | None:
    pages = (
        aws.client("iam")
        .get_paginator("list_attached_role_policies")
        .paginate(RoleName=attachment.inputs["role"])
    )
    wanted = attachment.inputs["policyArn"]
    return if_there(
        attachment,
        lambda: any(each["PolicyArn"] == wanted for page in pages for each in page["AttachedPolicies"]),
        _GONE,
    )


def _detach(aws: Aws, attachment: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("iam").detach_role_policy(
            RoleName=attachment.inputs["role"], PolicyArn=attachment.inputs["policyArn"]
        )


CREATORS = (
    Creator(
        token="aws:iam/role:Role",
        create=_role,
        read=_read_role,
        properties=properties(
            "name assumeRolePolicy path description maxSessionDuration permissionsBoundary "
            "managedPolicyArns tags"
        ),
        update=_update_role,
        updatable=properties(
            "assumeRolePolicy description maxSessionDuration permissionsBoundary managedPolicyArns tags"
        ),
        delete=_delete_role,
    ),
    Creator(
        token="aws:iam/rolePolicy:RolePolicy",
        create=_role_policy,
        read=_read_role_policy,
        properties=properties("name role policy"),
        update=again(_role_policy),
        updatable=properties("policy"),
        delete=_delete_role_policy,
    ),
    Creator(
        token="aws:iam/policy:Policy",
        create=_policy,
        read=_read_policy,
        properties=properties("name policy path description tags"),
        update=_update_policy,
        updatable=properties("policy tags"),
        delete=_delete_policy,
    ),
    Creator(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        create=_attachment,
        read=_read_attachment,
        properties=properties("role policyArn"),
        delete=_detach,
    ),
)
