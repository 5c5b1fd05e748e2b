"""What a resource's policy decides, as the emulator's evaluator, written by others, reads it."""

from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from components.iam.documents import Statement, document


def decision(policy: list[Statement], action: str, resource: str, **context: Any) -> str:  # noqa: ANN401
    """Return what the policy alone says to the role of a visit, or to the `caller`."""
    visit = "arn:aws:sts::123456789012:assumed-role/gdpr-eu-west-purpose-visit/acme-visit"
    caller = EvalContext(
        principal_arn=context.pop("caller", visit),
        principal_type="AssumedRole",
        principal_account=context.pop("account", "123456789012"),
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=context.pop("tls", True),
        service_context={key.lower(): value for key, value in context.pop("keys", {}).items()},
    )
    result: str = evaluate_resource_policy(document(policy), caller).decision
    return result
