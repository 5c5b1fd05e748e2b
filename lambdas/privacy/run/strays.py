"""Objects outside every dataset: runs that erase look for them, for nothing else tells of them.

The bucket sends events for the prefixes of datasets alone, and whoever may send files may send them there
alone. So they come from a change of the config, and from whoever else may write in the account.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from privacy.timestamps import instant
from privacy.unattributed import OUTSIDE
from privacy.vault import items as vault_items
from privacy.vault import notes as vault_notes
from privacy.vault.notes import Note
from privacy.vault.sessions import Vault
from privacy.vault.strays import strays

if TYPE_CHECKING:
    from privacy.vault.items import Item

if TYPE_CHECKING:
    from privacy.vault.items import Item

_log: Final = logging.getLogger("privacy")

LOOK_EVERY: Final = timedelta(hours=1)
"""How old a look may be that found none, if the datasets are the same: it costs a listing for each of
them."""

_LAST_LOOK: Final = ("vault", "last-look-outside")


def note_strays(vault: Vault, known: Mapping[str, str], now: datetime) -> None:
    """Note every object that is outside the customer's datasets, and end the notes of those that are gone.

    `known` are those that have a note, with the version that it is about. Where there are none, the last look
    may be `LOOK_EVERY` old. AWS errors and TableBusyError are raised.
    """
    prefixes = _digest_of_prefixes(vault)
    if not known and _is_looked_for(vault, prefixes, now):
        return
    gone = dict(known)
    new = 0

    def found() -> Iterator[Note]:
        nonlocal new
        for stray in strays(vault):
            if gone.pop(stray.key, None) != stray.version_id:
                new += 1
                yield Note(stray.key, stray.version_id, OUTSIDE, stray.size, instant(now))

    vault_notes.write(vault, found())
    vault_notes.remove(vault, gone)
    look: Item = {
        **vault_items.key(*_LAST_LOOK),
        "looked_at": {"S": instant(now)},
        "prefixes": {"S": prefixes},
    }
    vault_items.batch_write(vault, put=[look])
    if new:
        _log.warning("objects outside datasets: customer=%s objects=%d", vault.customer.id, new)


def _is_looked_for(vault: Vault, prefixes: str, now: datetime) -> bool:
    last = vault_items.get(vault, *_LAST_LOOK)
    if last is None or last["prefixes"]["S"] != prefixes:
        return False
    return now.astimezone(UTC) - datetime.fromisoformat(last["looked_at"]["S"]) < LOOK_EVERY


def _digest_of_prefixes(vault: Vault) -> str:
    prefixes = sorted(dataset.prefix for dataset in vault.customer.datasets if dataset.prefix)
    return hashlib.sha256(json.dumps(prefixes).encode()).hexdigest()
