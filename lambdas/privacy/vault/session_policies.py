"""Session policies: whose data a function reaches, one short document for a purpose and a customer.

A function assumes its purpose's role together with one of these documents. The role bounds *what* can be
done in any vault of the region, the document bounds *whose* vault: the resources of one customer that the
purpose works on, and no others. AWS allows only what both allow. `s3:*` therefore gives nothing here: the
role names each action, and so does the key's policy; no bucket's policy allows anything. Nowhere else may an
allowing statement have such an action (tests refuse it in what is deployed).

How the key may be used (through S3 and DynamoDB, and for which encryption context) is said once, in the
policy of the key itself, which names the purposes' roles.

AWS packs a session policy into a binary form, refuses the call where that is too large, and publishes no way
to compute it beforehand (AssumeRole, `PackedPolicySize`). Each action and each character counts, so the
documents are short: no Sids, no lists of actions or datasets.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Statement = dict[str, Any]
Policy = dict[str, Any]

MAX_CHARACTERS: Final = 700
"""Our own limit of a session policy, in characters. AWS takes 2,048, and refuses many shorter ones for their
packed size: 736 characters with 18 actions were measured as 82 % of it, 1,690 with 42 actions as 157 %."""

EXPORTS: Final = "exports/"
"""Prefix of a vault's bucket that no dataset has: what is exported lies below it."""

REFERENCE_PURPOSE: Final = "subject-reference"
"""Value of the KMS encryption context's `purpose` for the secret behind the subject references."""

Kind = Literal["bucket", "objects", "uploads", "exports", "table", "objects_index", "ledger"]
"""What of a vault a session reaches. `uploads` is what lies below the one prefix that is sent to, and the
bucket's list; `ledger` this customer's part of the region's evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultResources:
    """The resources of one customer's vault that a session may reach.

    `uploads` is the key prefix below which files are sent, where any are: a dataset's. `evidence_arn` is the
    region's evidence bucket, which only a function that reads a ledger has to know.
    """

    customer: str
    bucket_arn: str
    table_arn: str
    key_arn: str
    uploads: str | None = None
    evidence_arn: str = ""

    @property
    def region(self) -> str:
        """The region of the key, and so of the whole vault."""
        return self.key_arn.split(":")[3]


PURPOSES: Final[Mapping[str, Sequence[Kind]]] = {
    "begin": ("table",),
    "ingest": ("uploads", "table"),
    "intake": ("table",),
    "index": ("bucket", "objects", "table", "objects_index"),
    "plan": ("bucket", "table"),
    "visit": ("bucket", "objects", "table"),
    "verify": ("bucket", "table"),
    "reindex": ("bucket", "objects", "table", "objects_index"),
    "close": ("table",),
    "replay": ("table", "ledger"),
    "export": ("bucket", "exports", "table"),
    "fetch": ("objects",),
    "list": ("table",),
    "destroy": ("bucket", "objects", "table"),
    "witness": ("bucket", "table"),
    "keep": (),
}
"""Every purpose and what it works on, beside the vault's key. The purposes' roles say what is done there."""


def encryption_context(customer: str) -> dict[str, str]:
    """Return the encryption context that binds the subject-reference secret to its purpose and vault."""
    return {"purpose": REFERENCE_PURPOSE, "customer": customer}


def policy_of(purpose: str, vault: VaultResources) -> Policy:
    """Return the purpose's policy for this vault. Raises KeyError for an unknown purpose."""
    kinds = PURPOSES[purpose]
    resources = [*(arn for kind in kinds for arn in _arns(kind, vault)), vault.key_arn]
    # Of each service that the resources belong to, all that the role allows.
    actions = [f"{service}:*" for service in dict.fromkeys(arn.split(":")[2] for arn in resources)]
    statements = [_allow(actions, resources)]
    if "ledger" in kinds:
        statements.append(_ledger(vault))
    return {"Version": "2012-10-17", "Statement": statements}


def session_policy(purpose: str, vault: VaultResources) -> str:
    """Return the compact JSON of the purpose's policy for this vault.

    Raises KeyError for an unknown purpose, ValueError where it is longer than `MAX_CHARACTERS`, which no
    names are that the settings of a stack take.
    """
    text = json.dumps(policy_of(purpose, vault), separators=(",", ":"))
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"session policy of {purpose} has {len(text)} characters and may have {MAX_CHARACTERS}; shorten"
            " the names of the vault's resources, or the dataset's prefix"
        )
    return text


def _arns(kind: Kind, vault: VaultResources) -> list[str]:
    match kind:
        case "bucket":
            return [vault.bucket_arn]
        case "objects":
            return [f"{vault.bucket_arn}/*"]
        case "uploads":
            return [vault.bucket_arn, f"{vault.bucket_arn}/{vault.uploads}*"] if vault.uploads else []
        case "exports":
            return [f"{vault.bucket_arn}/{EXPORTS}*"]
        case "table":
            return [vault.table_arn]
        case "objects_index":
            return [f"{vault.table_arn}/index/objects"]
        case "ledger":
            return []  # has a statement of its own


def _ledger(vault: VaultResources) -> Statement:
    """Read this customer's erasure ledger: its entries, and the list of them.

    Which key the evidence has, its bucket knows, and the function does not. No other key's policy lets this
    purpose read through S3; those of the vaults let it read through DynamoDB, which the condition excludes.
    `IfExists`, because no call has both: only the list has a prefix (and the role refuses one without), only
    S3's use of the key a service in between. To use a key directly, no policy gives this purpose.
    """
    ledger = f"ledger/{vault.customer}/"
    account = vault.key_arn.rpartition(":")[0]
    return _allow(
        ["s3:*", "kms:*"],
        [vault.evidence_arn, f"{vault.evidence_arn}/{ledger}*", f"{account}:key/*"],
        Condition={
            "StringEqualsIfExists": {
                "s3:prefix": ledger,
                "kms:ViaService": f"s3.{vault.region}.amazonaws.com",
            }
        },
    )


def _allow(actions: list[str], resources: list[str], **more: object) -> Statement:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}
