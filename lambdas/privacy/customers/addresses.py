"""E-mail addresses, as far as it takes to tell one from what stands in its place, such as half a row."""

import re
import unicodedata
from typing import Final

# RFC 5322, 3.2.3: these stand in no address but in quotes, which nobody has. Some programs separate fields by
# `|`; a single quote may be part of a name, but begins none.
_OTHERS: Final = r"\s\"(),:;<>\[\\\]|@"
_ADDRESS: Final = re.compile(rf"\s*(?!')[^{_OTHERS}]+@[^{_OTHERS}']+\s*")


def may_be_address(text: str) -> bool:
    """Return whether the text is an e-mail address by its form, white space around it aside, or blank.

    In any spelling that references take for the same, such as with a full-width `@`.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _ADDRESS.fullmatch(text) is not None or not text.strip()
