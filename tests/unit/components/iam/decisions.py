"""What policies decide, as the emulator's evaluator, written by others, reads them."""

from collections.abc import Sequence
from typing import Any

from ministack.core.iam_evaluator import (
    EvalContext,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from components.iam.documents import Statement, document


class Session:
    """A session of a purpose's role: what role, boundary and session policy allow together."""

    def __init__(
        self, purpose: str, role: Sequence[Statement], boundary: Sequence[Statement], policy: str
    ) -> None:
        self.caller = f"arn:aws:sts::123456789012:assumed-role/gdpr-eu-west-purpose-{purpose}/acme-{purpose}"
        self._role = [parse_policy_document(document(role))]
        self._limits = ([parse_policy_document(document(boundary))], [parse_policy_document(policy)])

    def may(self, action: str, resource: str, keys: dict[str, Any], key_policy: str | None = None) -> bool:
        """Whether the session may do it; a key's policy has to allow it, too."""
        context = _context(action, resource, caller=self.caller, keys=keys)
        found = evaluate(context, self._role, *self._limits)
        if key_policy is not None:
            found = combine_resource_policy(
                found, context, key_policy, "123456789012", required=True, limits=self._limits
            )
        return bool(found.decision == "Allow")


def may_alone(policy: Sequence[Statement], action: str, resource: str, keys: dict[str, Any]) -> bool:
    """Whether a role's own policy allows it."""
    context = _context(action, resource, keys=keys)
    found = evaluate(context, [parse_policy_document(document(policy))])
    return bool(found.decision == "Allow")


def decision(policy: list[Statement], action: str, resource: str, **context: Any) -> str:  # noqa: ANN401
    """Return what the policy alone says to the role of a visit, or to the `caller`."""
    result: str = evaluate_resource_policy(document(policy), _context(action, resource, **context)).decision
    return result


def _context(action: str, resource: str, **context: Any) -> EvalContext:  # noqa: ANN401
    visit = "arn:aws:sts::123456789012:assumed-role/gdpr-eu-west-purpose-visit/acme-visit"
    return EvalContext(
        principal_arn=context.pop("caller", visit),
        principal_type="AssumedRole",
        principal_account=context.pop("account", "123456789012"),
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=context.pop("tls", True),
        service_context={key.lower(): value for key, value in context.pop("keys", {}).items()},
    )
