"""The replay: after a restoration, erase again whoever had been erased.

It turns the erasure ledger into erasure requests with limits, which runs then carry out like any other.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Self

from privacy.evidence import ledger
from privacy.evidence import store as evidence_store
from privacy.evidence.ledger import Entry
from privacy.requests.replays import Replays
from privacy.requests.run_lock import RunLock
from privacy.requests.store import RequestStore
from privacy.timestamps import parse_timestamp, timestamp
from privacy.vault import request_items
from privacy.vault.request_items import Group
from privacy.vault.sessions import Vault

_log: Final = logging.getLogger("privacy")

KIND: Final = "replay"

PAGE_ENTRIES: Final = 1000
"""Ledger entries that one call takes: reading one after the other, it needs a minute of its fifteen."""

PAGE_SUBJECTS: Final = 50_000
"""A call takes no further entry beyond so many subjects, which take some 20 MB of memory."""

SUBJECTS_PER_REQUEST: Final = 1000
"""As many as a request of the API has: a run then plans with what it knows."""


class ReplayInputError(ValueError):
    """The workflow was started with something wrong; the text says what and the fix."""


class OtherSecretError(Exception):
    """Entries of the ledger were made under another subject secret than the vault's: they match nobody.

    Everybody else is asked to be erased again. See docs/restore.md, "The subject secret".
    """

    def __init__(self, entries: int) -> None:
        super().__init__(
            f"{entries} entries of the ledger are under another subject secret than the vault's, and whom "
            "they are about is not erased again; see docs/restore.md, The subject secret"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a replay stands. `after` is the ledger key behind which to go on; the rest counts up to there.

    `skipped` are entries under another secret, `covered` subjects whom an earlier call or start asked for.
    """

    restored_from: str
    after: str = ""
    page: int = 0
    entries: int = 0
    skipped: int = 0
    covered: int = 0
    subjects: int = 0
    requests: int = 0

    @classmethod
    def of(cls, event: Mapping[str, Any], now: datetime) -> Self:
        """Read what the workflow was started with, or went on with. Raises ReplayInputError."""
        known = {name: value for name, value in event.items() if name not in {"customer", "done"}}
        try:
            page = cls(**known)
        except TypeError:
            raise ReplayInputError(
                'the input is {"customer": …, "restored_from": …} and nothing else'
            ) from None
        try:
            restored_from = parse_timestamp(page.restored_from)
        except (TypeError, ValueError):
            raise ReplayInputError(
                "restored_from: write the moment at which putting data back began, in UTC and whole seconds,"
                " such as 2026-05-01T10:00:00Z"
            ) from None
        if restored_from > now:
            raise ReplayInputError("restored_from: lies ahead; write when putting data back began (UTC)")
        # One spelling of a moment: `T9:05:00Z` is read, too, and would be another replay.
        return replace(page, restored_from=timestamp(restored_from))


def replay_page(
    vault: Vault,
    requests: RequestStore,
    lock: RunLock,
    page: Page,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Page, bool]:
    """Ask for the erasures of one page of the ledger; return where it stands then, and whether that was all.

    Doing it again asks again for what ended failed or partial, and for nobody whom a request of this replay
    has erased again, or will: who was, and came back since, keeps what is new. The ledger ends where it ended
    at the replay's first start.

    Entries under another subject secret match nobody. Raises OtherSecretError at the last page where there
    were any, when everybody else is asked for; what reading the vault's secret raises, before anything.
    """
    replay = Replays(requests, vault.customer.id, page.restored_from)
    read = _read(vault, page.after, replay.ledger_end(clock()))
    chunks = list(_chunks(read.entries))
    covered = replay.covered({ref for chunk in chunks for group in chunk for ref in group.subjects})
    asked = [each for chunk in chunks if (each := _ask(vault, replay, chunk, covered, clock())) is not None]
    total = sum(len(group.subjects) for chunk in chunks for group in chunk)
    # The evidence is about what this page asks for, by whichever call: one that broke off left none.
    made, subjects = [each.id for each in asked], sum(each.subjects for each in asked)
    new = [each for each in asked if each.is_new]
    now_asked = sum(each.subjects for each in new)
    name = f"{''.join(filter(str.isdigit, page.restored_from))}/{page.page:06d}-{_digest(made).hex()[:16]}"
    evidence_store.put(
        KIND,
        vault.customer.id,
        name,
        {
            "customer": vault.customer.id,
            "restored_from": page.restored_from,
            "replayed_at": timestamp(clock()),
            "ledger_entries": [entry.key for entry in read.entries],
            "skipped": read.skipped,
            "covered": total - subjects,
            "requests": made,
            "subjects": subjects,
        },
    )
    if any(each.waits for each in asked):
        # Each page starts what it asked for: a replay that stops half-way leaves nobody waiting.
        lock.start_run_or_leave_to_sweep(vault.customer.id)
    _log.info(
        "ledger replayed: customer=%s page=%d entries=%d requests=%d subjects=%d",
        vault.customer.id,
        page.page,
        len(read.entries),
        len(new),
        now_asked,
    )
    gone_on = Page(
        restored_from=page.restored_from,
        after=read.after,
        page=page.page + 1,
        entries=page.entries + len(read.entries),
        skipped=page.skipped + read.skipped,
        covered=page.covered + total - now_asked,
        subjects=page.subjects + now_asked,
        requests=page.requests + len(new),
    )
    if read.done and gone_on.skipped:
        raise OtherSecretError(gone_on.skipped)
    return gone_on, read.done


@dataclass(slots=True)
class _Read:
    """What a page has of the ledger. `after` is the key of the last entry."""

    after: str
    entries: list[Entry] = field(default_factory=list)
    skipped: int = 0
    done: bool = False


def _read(vault: Vault, after: str, end: str) -> _Read:
    """Read a page, without what was erased after the instant at which the ledger ends."""
    secret = ledger.secret_digest(vault)
    read = _Read(after)
    subjects = 0
    for looked_at, entry in enumerate(ledger.read(vault, after=after), start=1):
        read.after = entry.key
        if entry.erased_at > end:
            pass
        elif entry.secret != secret:
            read.skipped += 1
        else:
            read.entries.append(entry)
            subjects += sum(len(erasure.subjects) for erasure in entry.erasures)
        if looked_at == PAGE_ENTRIES or subjects >= PAGE_SUBJECTS:
            return read
    read.done = True
    return read


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Group]]:
    """Cut the erasures into requests, in the ledger's order. Each request names a subject once."""
    chunk: dict[str, Group] = {}
    for entry in entries:
        for erasure in entry.erasures:
            if erasure.follows is not None or erasure.restored_from is not None:
                continue  # about subjects of an erasure that has an entry of its own
            if len(chunk) + len(erasure.subjects) > SUBJECTS_PER_REQUEST:
                yield _grouped(chunk)
                chunk = {}
            group = Group(erasure.request, entry.erased_at, erasure.subjects)
            for ref in erasure.subjects:
                known = chunk.get(ref)
                if known is None or known.erased_at < group.erased_at:
                    chunk[ref] = group
    if chunk:
        yield _grouped(chunk)


def _grouped(chunk: Mapping[str, Group]) -> list[Group]:
    refs: dict[tuple[str, str], list[str]] = {}
    for ref, group in chunk.items():
        refs.setdefault((group.request, group.erased_at), []).append(ref)
    return [Group(request, erased_at, tuple(sorted(found))) for (request, erased_at), found in refs.items()]


def _without(chunk: Iterable[Group], covered: Mapping[str, str]) -> dict[str, str]:
    """Return whom of the chunk nothing covers up to the time of the erasure, with that time."""
    return {
        ref: group.erased_at
        for group in chunk
        for ref in group.subjects
        if covered.get(ref, "") < group.erased_at
    }


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of a page, the number of its subjects, and whether it was made now, and waits for a run."""

    id: str
    subjects: int
    is_new: bool
    waits: bool


def _ask(
    vault: Vault, replay: Replays, chunk: list[Group], covered: Mapping[str, str], now: datetime
) -> _Asked | None:
    """Make the erasure request of those of a chunk whom nothing covers; None where there are none.

    The id follows from the whole chunk: of two executions at the same time, one makes the request. Where it
    was made before, it is returned as it is.
    """
    customer, requests = replay.customer, replay.requests
    text = request_items.groups_text(chunk)
    for attempt in count():
        request_id = replay.request_id(_digest([customer, replay.restored_from, str(attempt), text]))
        known = requests.get(customer, request_id)
        if known is None or known.state not in {"failed", "partial"}:
            break
    if known is not None:
        return _Asked(
            request_id, len(requests.refs(customer, request_id)), is_new=False, waits=known.state == "pending"
        )
    refs = _without(chunk, covered)
    if not refs:
        return None
    request_items.put_groups(vault, request_id, chunk)
    subjects = sorted(refs)
    requests.create(
        customer,
        type="erasure",
        refs=subjects,
        request_id=request_id,
        received_at=now,
        restored_from=replay.restored_from,
        erased_at=[refs[ref] for ref in subjects],
    )
    return _Asked(request_id, len(subjects), is_new=True, waits=True)


def _digest(parts: list[str]) -> bytes:
    return hashlib.sha256("\n".join(parts).encode()).digest()
