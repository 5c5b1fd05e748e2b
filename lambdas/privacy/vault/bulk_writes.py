"""Writing very many items of a vault's table without holding them all."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

from privacy.vault import items as vault_items
from privacy.vault.sessions import Vault

_PIECE: Final = 250  # items: ten calls
_PARALLEL: Final = 8


def put_all(vault: Vault, items: "Iterable[vault_items.Item]") -> int:
    """Put the items, whatever was there before, several pieces at a time; return how many.

    No key may occur twice. Raises TableBusyError.
    """
    return _each_piece(vault, items, lambda piece: vault_items.batch_write(vault, put=piece))


def delete_all(vault: Vault, keys: "Iterable[vault_items.Item]") -> int:
    """Delete the items, several pieces at a time; return how many. Raises TableBusyError."""
    return _each_piece(vault, keys, lambda piece: vault_items.batch_write(vault, delete=piece))


def _each_piece(vault: Vault, items: Iterable[Any], write: Any) -> int:  # noqa: ANN401 - one of the two above
    pieces = _pieces(items)
    first = next(pieces, [])
    if len(first) < _PIECE:
        write(first)
        return len(first)
    _ = vault.dynamodb  # made before the threads share it
    written = len(first)
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        begun: deque[Future[None]] = deque([pool.submit(write, first)])
        for piece in pieces:
            if len(begun) == 2 * _PARALLEL:
                begun.popleft().result()
            begun.append(pool.submit(write, piece))
            written += len(piece)
        for each in begun:
            each.result()
    return written


def _pieces(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while piece := list(islice(rest, _PIECE)):
        yield piece
