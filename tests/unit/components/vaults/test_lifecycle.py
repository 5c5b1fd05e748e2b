"""What S3's rules come to: a model of how S3 carries them out, held against the contract's dates.

The model goes by the S3 User Guide ("Lifecycle configuration elements", "Expiring objects"): S3 acts once a
day at midnight UTC; days are counted from an object's or its successor's time and rounded up to the next
midnight; a date acts from its midnight on, every night; an expired current version gets a delete marker; a
marker without versions goes a night later than the last version. Where the guide leaves two nights possible,
the model takes the later one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.settings.settings import Contract
from components.vaults.lifecycle import LAST_BYTE_DAYS, LAST_MARKER_DAYS, NONCURRENT_DAYS, lifecycle_rules

DAY = timedelta(days=1)
KEYS = ("feedback/a.jsonl", "feedback/b.jsonl", "exports/1.json")


@dataclass
class Version:
    """A version or a delete marker (newest last in its key's list)."""

    key: str
    at: datetime
    marker: bool = False
    noncurrent_since: datetime | None = None


@dataclass(frozen=True)
class Removal:
    """What a rule did, and in which night."""

    rule: str
    night: datetime
    what: Version


@dataclass(frozen=True)
class Rule:
    """A rule as S3 is told of it. An expiration is a number of days, a moment, or None."""

    id: str
    enabled: bool
    prefix: str
    upload_days: int | None
    noncurrent_days: int | None
    days: int | None
    moment: datetime | None
    lone_markers: bool


def rules_of(contract: Contract, today: date | None = None) -> list[Rule]:
    """The rules of a vault's bucket, read once: each look into Pulumi's own objects takes long.

    As they are deployed `today`, or before the contract's data is to be destroyed.
    """
    return [_read(rule) for rule in lifecycle_rules(contract, today or contract.starts)]


def _read(rule: Any) -> Rule:  # noqa: ANN401 -- Pulumi types its properties as inputs
    uploads, noncurrent = rule.abort_incomplete_multipart_upload, rule.noncurrent_version_expiration
    expiration = rule.expiration
    date_ = expiration.date if expiration is not None else None
    return Rule(
        id=rule.id,
        enabled=rule.status == "Enabled",
        prefix=rule.filter.prefix,
        upload_days=uploads.days_after_initiation if uploads is not None else None,
        noncurrent_days=noncurrent.noncurrent_days if noncurrent is not None else None,
        days=expiration.days if expiration is not None else None,
        moment=datetime.fromisoformat(date_) if date_ is not None else None,
        lone_markers=expiration is not None and bool(expiration.expired_object_delete_marker),
    )


@dataclass
class Bucket:
    """A versioned bucket and the nights that it went through."""

    rules: Sequence[Rule]
    keys: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, datetime] = field(default_factory=dict)
    removed: list[Removal] = field(default_factory=list)
    aborted: list[datetime] = field(default_factory=list)

    def put(self, key: str, at: datetime, *, marker: bool = False) -> None:
        versions = self.keys.setdefault(key, [])
        if versions and versions[-1].noncurrent_since is None:
            versions[-1].noncurrent_since = at
        versions.append(Version(key, at, marker))

    def begin_upload(self, key: str, at: datetime) -> None:
        self.uploads[key] = at

    def night(self, midnight: datetime) -> None:
        """Carry out every rule on what there was when the night began."""
        before = {key: list(versions) for key, versions in self.keys.items()}
        for rule in self.rules:
            if not rule.enabled:
                continue
            for key, versions in before.items():
                if key.startswith(rule.prefix):
                    self._apply(rule, key, versions, midnight)
            if rule.upload_days is not None:
                for key, at in list(self.uploads.items()):
                    if due(at, rule.upload_days) <= midnight:
                        del self.uploads[key]
                        self.aborted.append(midnight)

    def _apply(self, rule: Rule, key: str, versions: list[Version], midnight: datetime) -> None:
        if not versions:
            return
        current = versions[-1]
        if rule.noncurrent_days is not None:
            for version in versions[:-1]:
                assert version.noncurrent_since is not None
                if (
                    version in self.keys[key]
                    and due(version.noncurrent_since, rule.noncurrent_days) <= midnight
                ):
                    self.keys[key].remove(version)
                    self.removed.append(Removal(rule.id, midnight, version))
        if rule.lone_markers:
            if current.marker and len(versions) == 1:
                self.keys[key].remove(current)
                self.removed.append(Removal(rule.id, midnight, current))
        elif not current.marker and current.noncurrent_since is None:
            expires = due(current.at, rule.days) if rule.days is not None else rule.moment
            if expires is not None and expires <= midnight:
                self.put(key, midnight, marker=True)
                self.removed.append(Removal(rule.id, midnight, current))


def due(at: datetime, days: int) -> datetime:
    """The first midnight after so many days; a midnight itself is rounded up like every other moment."""
    later = at + timedelta(days=days)
    return datetime.combine(later.date(), datetime.min.time(), UTC) + DAY


contracts = st.builds(
    lambda ends, grace, hold: Contract(starts=date(2024, 1, 1), ends=ends, graceDays=grace, hold=hold),
    st.dates(date(2024, 1, 1), date(2032, 12, 31)),
    st.integers(0, 365),
    st.sampled_from([None, "litigation, case 2026-114"]),
)
happenings = st.lists(
    st.tuples(
        st.integers(1, 50 * 24 * 3600),  # seconds before the destruction
        st.sampled_from(["put", "delete", "upload"]),
        st.sampled_from(KEYS),
    ),
    max_size=12,
)


def lived(contract: Contract, what: list[tuple[int, str, str]]) -> Bucket:
    """A bucket in which this happened before the contract's end, long after it."""
    bucket = Bucket(rules_of(contract))
    end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    waiting = sorted(what, reverse=True)
    for midnight in (end + DAY * number for number in range(-52, 45)):
        bucket.night(midnight)
        while waiting and end - timedelta(seconds=waiting[0][0]) < midnight + DAY:
            seconds, kind, key = waiting.pop(0)
            at = end - timedelta(seconds=seconds)
            if kind == "upload":
                bucket.begin_upload(key, at)
            else:
                bucket.put(key, at, marker=kind == "delete")
    assert not waiting
    return bucket


@given(contracts, happenings)
def test_nothing_outlives_the_destruction_by_more_than_the_documented_days(
    contract: Contract, what: list[tuple[int, str, str]]
) -> None:
    bucket = lived(contract, what)
    end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    assert bucket.uploads == {}
    assert all(night <= end + DAY for night in bucket.aborted)
    if contract.hold is None:
        assert [version for versions in bucket.keys.values() for version in versions] == []
        for removal in bucket.removed:
            days = LAST_MARKER_DAYS if removal.what.marker else LAST_BYTE_DAYS
            assert removal.night <= end + days * DAY


@given(contracts, happenings)
def test_nothing_expires_by_the_contracts_rule_before_its_destruction_or_under_a_hold(
    contract: Contract, what: list[tuple[int, str, str]]
) -> None:
    bucket = lived(contract, what)
    nights = [removal.night for removal in bucket.removed if removal.rule == "contract-end"]
    end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    assert all(night >= end for night in nights)
    if contract.hold is not None:
        assert nights == []


@given(contracts, happenings)
def test_under_a_hold_every_current_version_outside_the_exports_stays(
    contract: Contract, what: list[tuple[int, str, str]]
) -> None:
    held = Contract(starts=contract.starts, ends=contract.ends, graceDays=contract.grace_days, hold="case 1")
    bucket = lived(held, what)
    last: dict[str, str] = {}
    for _, kind, key in sorted(what, reverse=True):
        if kind != "upload" and not key.startswith("exports/"):
            last[key] = kind
    for key, kind in last.items():
        assert any(not version.marker for version in bucket.keys[key]) == (kind == "put")


@given(contracts, happenings, st.integers(0, 29), st.integers(1, 400))
def test_a_hold_after_the_night_of_the_destruction_keeps_all_that_was_there(
    contract: Contract, what: list[tuple[int, str, str]], days: int, long: int
) -> None:
    """That night has hidden every file behind a delete marker: nothing that it did is for good."""
    facts = {"starts": contract.starts, "ends": contract.ends, "graceDays": contract.grace_days}
    bucket = Bucket(rules_of(Contract(**facts)))
    end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    for seconds, _, key in sorted(what, reverse=True):
        bucket.put(key, end - timedelta(seconds=min(seconds, 6 * 24 * 3600)))
    for number in range(days + 1):
        bucket.night(end + number * DAY)
    held = Contract(**facts, hold="litigation, case 2026-114")
    before = {
        key: [version for version in versions if not version.marker] for key, versions in bucket.keys.items()
    }
    bucket.rules = rules_of(held, contract.destruction + timedelta(days=days))
    for number in range(days + 1, days + 1 + long):
        bucket.night(end + number * DAY)
    for key, versions in before.items():
        if not key.startswith("exports/"):
            assert [version for version in bucket.keys[key] if not version.marker] == versions
    # Once it is lifted, everything goes.
    bucket.rules = rules_of(Contract(**facts), contract.destruction)
    for number in range(days + 1 + long, days + long + 40):
        bucket.night(end + number * DAY)
    assert not any(bucket.keys.values())


def test_a_hold_from_the_day_of_the_destruction_on_lets_older_versions_be() -> None:
    held = Contract(starts=date(2024, 1, 1), ends=date(2027, 12, 31), hold="litigation")
    statuses = {
        day: {rule.id: rule.status for rule in lifecycle_rules(held, day)}["older-versions"]
        for day in (date(2028, 1, 30), date(2028, 1, 31), date(2030, 1, 1))
    }
    assert list(statuses.values()) == ["Enabled", "Disabled", "Disabled"]
    free = Contract(starts=date(2024, 1, 1), ends=date(2027, 12, 31))
    assert all(rule.status == "Enabled" for rule in lifecycle_rules(free, date(2028, 1, 31)))


@given(contracts)
def test_the_bounds_are_reached_so_that_the_documented_days_are_not_too_many(contract: Contract) -> None:
    bucket = lived(contract, [(1, "put", KEYS[0])])
    if contract.hold is None:
        end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
        assert [(removal.rule, (removal.night - end).days) for removal in bucket.removed] == [
            ("contract-end", 0),
            ("older-versions", LAST_BYTE_DAYS),
            ("lone-delete-markers", LAST_MARKER_DAYS),
        ]


def test_what_comes_after_the_date_goes_in_the_following_night() -> None:
    contract = Contract(starts=date(2024, 1, 1), ends=date(2027, 12, 31))
    bucket = Bucket(rules_of(contract))
    end = datetime.combine(contract.destruction, datetime.min.time(), UTC)
    bucket.put(KEYS[0], end + DAY / 2)
    bucket.night(end + DAY)
    assert [removal.rule for removal in bucket.removed] == ["contract-end"]


def test_the_model_rounds_as_the_user_guides_example_does() -> None:
    created = datetime(2014, 1, 15, 10, 30, tzinfo=UTC)
    assert due(created, 3) == datetime(2014, 1, 19, tzinfo=UTC)


def test_only_the_contracts_rule_rests_while_a_hold_stands_before_the_destruction() -> None:
    held = Contract(starts=date(2024, 1, 1), ends=date(2027, 12, 31), hold="litigation")
    assert {rule.id: rule.status for rule in lifecycle_rules(held, date(2028, 1, 30))} == {
        "unfinished-uploads": "Enabled",
        "lone-delete-markers": "Enabled",
        "older-versions": "Enabled",
        "exports": "Enabled",
        "contract-end": "Disabled",
    }
    assert NONCURRENT_DAYS < LAST_BYTE_DAYS < LAST_MARKER_DAYS
