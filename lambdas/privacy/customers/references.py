"""Subject references: what the system remembers of a person instead of an identifier."""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from privacy.customers.numbers import as_number

ReferenceOf = Callable[[str], str | None]
"""Identifier as it stands in the data → subject reference, or None for a blank one, which names nobody."""

EXACT: Final = "exact"
EMAIL: Final = "email"

MAX_IDENTIFIER: Final = 512
"""Most characters of an identifier: nobody can ask for a longer one (`Identifier` in openapi.yaml), so that a
row which names somebody by it counts as one that cannot be read."""

_LONG_ENOUGH: Final = 6  # characters that do not turn up in a name by chance


def normalise(identifier: str, subject_id: str) -> str:
    """Return the form of `identifier` under which a customer's subjects are told apart.

    `exact` leaves it as it is. `email` applies Unicode NFKC, case folding and trimming, so that two
    spellings of one mailbox are one subject. The result is empty for a blank e-mail identifier: it
    identifies nobody, and callers refuse it. Raises ValueError for an unknown `subject_id`.
    """
    if subject_id == EXACT:
        return identifier
    if subject_id == EMAIL and identifier.isascii():
        return identifier.lower().strip()  # what the rules for Unicode come to, at a fraction of the time
    if subject_id == EMAIL:
        # Folding can leave text outside NFKC (a sharp s with an accent), so it is composed once more:
        # without it, normalising twice would give another answer than normalising once.
        folded = unicodedata.normalize("NFKC", identifier).casefold()
        return unicodedata.normalize("NFKC", folded).strip()
    raise ValueError("subject_id must be 'exact' or 'email'")


def is_blank(identifier: str, subject_id: str) -> bool:
    """Return whether `identifier` names nobody: nothing but white space after normalisation."""
    return not normalise(identifier, subject_id).strip()


def is_too_long(identifier: str) -> bool:
    """Return whether an identifier is longer than can be asked for, white space around it aside."""
    return len(identifier) > MAX_IDENTIFIER and len(identifier.strip()) > MAX_IDENTIFIER


def subject_reference(secret: bytes, identifier: str, subject_id: str) -> str:
    """Return the subject reference: HMAC-SHA256 of the normalised identifier, 64 lower-case hex digits.

    `secret` is the vault's own, so that references of two vaults cannot be joined. Lone surrogates, which
    a row may carry, count as themselves and never raise.
    """
    message = normalise(identifier, subject_id).encode("utf-8", "surrogatepass")
    inner, outer = _keyed(secret)
    digest = inner.copy()
    digest.update(message)
    keyed = outer.copy()
    keyed.update(digest.digest())
    reference: str = keyed.hexdigest()
    return reference


def asked_references(secret: bytes, identifier: str, subject_id: str) -> list[str]:
    """Return the references of everybody in the data whom an identifier that was asked for means.

    That is who is identified by this very text, and where it prints a number, by that number: `12.0` is asked
    for as text that reads so, and as 12, however that is spelled.
    """
    texts = (identifier, as_number(normalise(identifier, subject_id)))
    return list(dict.fromkeys(subject_reference(secret, text, subject_id) for text in texts))


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> tuple[Any, Any]:
    """Return the two digests of HMAC (RFC 2104, section 2) before any message, which are copied.

    A file has as many references to be made as people, and `hmac` takes twice the time for each.
    """
    block = hashlib.sha256().block_size
    key = (hashlib.sha256(secret).digest() if len(secret) > block else secret).ljust(block, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))
    return inner, outer


def is_named_in(name: str, identifier: str, subject_id: str) -> bool:
    """Return whether `name`, which will be part of a URL, contains the subject's identifier.

    A short identifier counts only as a whole word: `7` is not in `invoice-17`, but it is in `invoice-7`.
    """
    wanted, text = normalise(identifier, subject_id), normalise(name, subject_id)
    if len(wanted) >= _LONG_ENOUGH:
        return wanted in text
    return re.search(rf"(?<![^\W_]){re.escape(wanted)}(?![^\W_])", text) is not None
