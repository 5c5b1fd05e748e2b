"""IAM roles and policies: the same for every region of the account."""

from local.deploy.creator import Aws, Creator, Inputs, Made, picked, properties, tag_list


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


def _role_policy(aws: Aws, name: str, inputs: Inputs) -> Made:
    policy = inputs.get("name") or name
    aws.client("iam").put_role_policy(
        RoleName=inputs["role"], PolicyName=policy, PolicyDocument=inputs["policy"]
    )
    return Made(f"{inputs['role']}:{policy}", {"name": policy})


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


def _attachment(aws: Aws, _name: str, inputs: Inputs) -> Made:
    aws.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return Made(f"{inputs['role']}-{inputs['policyArn']}")


CREATORS = (
    Creator(
        token="aws:iam/role:Role",
        create=_role,
        properties=properties(
            "name assumeRolePolicy path description maxSessionDuration permissionsBoundary "
            "managedPolicyArns tags"
        ),
        without_effect={"forceDetachPolicies": "only `pulumi destroy` uses it"},
    ),
    Creator(
        token="aws:iam/rolePolicy:RolePolicy", create=_role_policy, properties=properties("name role policy")
    ),
    Creator(
        token="aws:iam/policy:Policy",
        create=_policy,
        properties=properties("name policy path description tags"),
    ),
    Creator(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        create=_attachment,
        properties=properties("role policyArn"),
    ),
)
