"""Objects outside every dataset: each run that erases looks for them, for nothing else tells of them.

The bucket sends events for the prefixes of datasets alone, and whoever may send files may send them there
alone. So they come from a change of the config, and from whoever else may write in the account.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from privacy.unattributed import OUTSIDE
from privacy.vault import notes as vault_notes
from privacy.vault.notes import Note
from privacy.vault.sessions import Vault
from privacy.vault.strays import strays

_log: Final = logging.getLogger("privacy")


def note_strays(vault: Vault, known: Mapping[str, str], at: str) -> None:
    """Note every object that is outside the customer's datasets, and end the notes of those that are gone.

    `known` are those that have a note, with the version that it is about; `at` is the instant of the look.
    AWS errors and TableBusyError are raised.
    """
    gone = dict(known)
    new = 0

    def found() -> Iterator[Note]:
        nonlocal new
        for stray in strays(vault):
            if gone.pop(stray.key, None) != stray.version_id:
                new += 1
                yield Note(stray.key, stray.version_id, OUTSIDE, stray.size, at)

    vault_notes.write(vault, found())
    vault_notes.remove(vault, gone)
    if new:
        _log.warning("objects outside datasets: customer=%s objects=%d", vault.customer.id, new)
