"""Subject references as they may leave the region: sealed, so that nobody outside can tell or compare them.

AES-256-GCM under a key that HKDF (RFC 5869) derives from the vault's secret. A nonce is 96 random bits, with
which one key may seal 2^32 times (NIST SP 800-38D, 8.3). All sealed references have the same length.

The library is imported when the first reference is sealed or opened: most calls need neither.
"""

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK: Final = "sealed-reference-1."
"""What a sealed reference begins with; the number is that of the way in which it was sealed."""

_ANY: Final = "sealed-reference-"
"""What all of them begin with, sealed in whichever way: those of another release are nobody's identifiers."""

_PURPOSE: Final = b"sealed subject reference 1"
_NONCE_BYTES: Final = 12
_SEALED_BYTES: Final = _NONCE_BYTES + 32 + 16  # with the reference and its tag


class SealBrokenError(Exception):
    """What looks like a sealed reference is none of this vault: another one's, cut off, or made up."""


def seal(secret: bytes, reference: str) -> str:
    """Return the reference sealed under the vault's secret: 99 ASCII characters, never the same twice."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(secret).encrypt(nonce, bytes.fromhex(reference), None)
    return _MARK + urlsafe_b64encode(nonce + sealed).decode()


def is_sealed(text: str) -> bool:
    """Return whether the text says of itself that it is a sealed reference."""
    return text.lower().startswith(_ANY)


def opened(secret: bytes, text: str) -> str:
    """Return the reference that was sealed. Raises SealBrokenError."""
    from cryptography.exceptions import InvalidTag

    if not text.startswith(_MARK):
        raise SealBrokenError
    try:
        sealed = urlsafe_b64decode(text.removeprefix(_MARK).encode("ascii"))
        if len(sealed) != _SEALED_BYTES:
            raise SealBrokenError
        return _cipher(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).hex()
    except (InvalidTag, UnicodeEncodeError, binascii.Error):
        raise SealBrokenError from None


@lru_cache(maxsize=16)
def _cipher(secret: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret))
