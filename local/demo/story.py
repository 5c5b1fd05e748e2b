"""`python -m local demo`: an erasure and a correction all the way through, with the proof.

Every line with a tick is a check; the first that fails ends the demo with exit code 1.
"""

import io
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pyarrow.parquet as pq

from local.build import build
from local.client import PrivacyClient, ProblemError
from local.commands import contract_end
from local.commands.up import regions
from local.customers import customers_of
from local.demo.cast import CONTROLLER, HERE, NEIGHBOUR, THERE, Cast, check_cast
from local.demo.generate import CustomerData, Person, RegionData, generate
from local.demo.load import send, wait_until_indexed
from local.demo.unattributed import nobody_can_tell
from local.deploy.settings import stack_config, stack_names
from local.emulator.emulator import Emulator
from local.emulator.search import Finding, Searched, search
from local.errors import LocalError
from local.executions import carry_out, follow, machine_arn
from local.stacks import Stack, Vault, deploy_stack
from local.vaults import VaultView, references_of

_NEW_NAME = "Wiktoria Poprawiona-Nowa"


class DemoFailureError(LocalError):
    """A step of the demo was not what it says."""


class Story:
    """Numbered chapters and ticked checks on the terminal."""

    def __init__(self) -> None:
        self.checks = 0
        self._chapters = 0
        self._started = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin the next chapter."""
        self._chapters += 1
        print(f"\n{self._chapters}. {title}  [{self.seconds:.0f} s]", flush=True)

    def say(self, text: str) -> None:
        """Tell something that is no check."""
        print(f"   {text}", flush=True)

    def check(self, holds: bool, text: str) -> None:  # reads as a sentence
        """Tick a check, or end the demo."""
        print(f"   {'✓' if holds else '✗'} {text}", flush=True)
        if not holds:
            raise DemoFailureError(f"the demo failed at: {text}")
        self.checks += 1

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started


@dataclass(frozen=True, slots=True)
class Baseline:
    """What must still be so afterwards."""

    lines: Mapping[str, Counter[bytes]]
    records: Mapping[str, object]
    neighbours: Mapping[tuple[str, str], tuple[Mapping[tuple[str, str], str], Mapping[tuple[str, str], str]]]


def demo(seed: int = 7) -> int:
    """Tell the story; the process's exit code."""
    story = Story()
    story.chapter("Build the Lambda packages, start an AWS, deploy two regions")
    build("local", say=story.say)
    started = time.monotonic()
    customers = {stack: customers_of(stack_config(stack)) for stack in stack_names()}
    check_cast(customers)
    data = generate(seed, customers)
    with regions((HERE, THERE), record_trail=True, name="demo") as (emulator, stacks):
        here, there = stacks
        story.say(f"emulator started and both stacks deployed in {time.monotonic() - started:.1f} s")
        try:
            _tell(story, emulator, here, there, data)
        except (ProblemError, httpx.HTTPError, TimeoutError) as error:
            raise DemoFailureError(f"the demo failed: {error}") from error
    print(f"\nAll {story.checks} checks hold; {story.seconds:.0f} s.")
    return 0


def _tell(
    story: Story, emulator: Emulator, here: Stack, there: Stack, data: Mapping[str, RegionData]
) -> None:
    for stack in (here, there):
        story.say(f"{stack.name}: {stack.region}, customers {', '.join(stack.vaults)}, API {stack.api_url}")
    _is_guarded(story, here)
    _data_in(story, emulator, (here, there), data)

    cast = Cast.of(data[HERE])
    mine = data[HERE].customers[CONTROLLER]
    story.chapter("Remember what must not change, and prove that the search finds what is there")
    before = _baseline(emulator, here, there, mine, cast)
    for person, places in _found(emulator, here, cast.everyone).items():
        story.check(len(places) > 2, f"a search finds {person.name} {len(places)} times in {here.region}")

    with here.client(CONTROLLER) as api:
        erasure = _requests(story, api, cast, mine)
        _erased(story, emulator, here, cast, mine, before, erasure)
        _strangers(story, api, here, there, erasure)
    _neighbours(story, emulator, here, there, before)
    _last_search(story, emulator, here, there, cast)
    with here.client(CONTROLLER) as api:
        nobody_can_tell(story, api)
    _contract_ends(story, emulator, here, cast)


def _is_guarded(story: Story, here: Stack) -> None:
    with here.client(CONTROLLER) as api, httpx.Client(verify=api.trust) as anybody:
        story.check(anybody.get(f"{here.api_url}/v1/health").json() == {"status": "ok"}, "the API is up")
        refused = anybody.get(f"{here.api_url}/v1/requests").status_code
        story.check(refused == httpx.codes.UNAUTHORIZED, "without a token it answers 401")
        vault = here.vaults[CONTROLLER]
        refused = anybody.get(f"{here.endpoint}/{vault.bucket}").status_code
        story.check(refused == httpx.codes.FORBIDDEN, "without a signature the bucket answers 403")


def _data_in(
    story: Story, emulator: Emulator, stacks: tuple[Stack, ...], data: Mapping[str, RegionData]
) -> None:
    story.chapter("Customers send their data through the API")
    for stack in stacks:
        for customer, mine in data[stack.name].customers.items():
            with stack.client(customer) as api:
                calls = send(api, mine)
            rows = sum(len(file.people) for file in mine.files_of_rows)
            story.say(
                f"{customer}: {len(mine.records)} records, {rows:,} rows in {len(mine.files_of_rows)} files, "
                f"{len(mine.letters)} letters ({calls} calls)  [{story.seconds:.0f} s]"
            )
    for stack in stacks:
        for mine in data[stack.name].customers.values():
            wait_until_indexed(emulator, stack, mine)
    story.check(True, "bucket events went through the queue into each vault's index")


def _requests(story: Story, api: PrivacyClient, cast: Cast, mine: CustomerData) -> str:
    story.chapter(f"{CONTROLLER} asks over HTTP: erase two people, correct a third")
    subjects = [cast.erased.email.upper(), cast.erased_here_only.email]
    erasure = api.request_erasure(subjects, reason="consent-withdrawn", idempotency_key="demo-1")
    story.check(erasure.state == "pending", f"erasure request {erasure.id} accepted, due {erasure.due_at}")
    again = api.request_erasure(subjects, reason="consent-withdrawn", idempotency_key="demo-1")
    story.check(again == erasure, "sent again with the same idempotency key: the same answer")
    changes = [
        {"dataset": "profiles", "set": {"name": _NEW_NAME}},
        {"dataset": "feedback", "set": {"author.name": _NEW_NAME}},
        {"dataset": "orders", "set": {"buyer.name": _NEW_NAME}},
    ]
    correction = api.request_correction(cast.corrected.email, changes)
    story.check(correction.state == "pending", f"correction request {correction.id} accepted")
    rows = mine.rows_of(cast.erased) + mine.rows_of(cast.erased_here_only)
    story.say(
        f"{rows} rows to drop, {mine.rows_of(cast.corrected)} to correct, each file rewritten once a run"
    )
    for request in (erasure, correction):
        ended = api.wait(request.id)
        story.check(ended.state == "completed", f"{ended.type} completed at {ended.completed_at}")
    return erasure.id


def _baseline(emulator: Emulator, here: Stack, there: Stack, mine: CustomerData, cast: Cast) -> Baseline:
    lines = {
        file.key: Counter(
            line for line, person in zip(file.lines, file.people, strict=True) if person not in cast.everyone
        )
        for file in mine.files
    }
    records = {
        f"{record.dataset}/{record.id}": dict(record.fields)
        for record in mine.records
        if record.person not in cast.everyone
    }
    others = [(here, NEIGHBOUR), *((there, customer) for customer in there.vaults)]
    neighbours = {}
    for stack, customer in others:
        view = VaultView(emulator, stack, customer)
        neighbours[stack.name, customer] = (view.versions(), view.digests())
    return Baseline(lines, records, neighbours)


def _erased(
    story: Story,
    emulator: Emulator,
    here: Stack,
    cast: Cast,
    mine: CustomerData,
    before: Baseline,
    erasure: str,
) -> None:
    story.chapter("Read back what is left")
    view = VaultView(emulator, here, CONTROLLER)
    erased = (cast.erased, cast.erased_here_only)
    versions = Counter(key for key, _ in view.versions())
    lost = [letter.key for letter in mine.letters if letter.person in erased and letter.key in versions]
    story.check(not lost, "the letters of the erased are gone")
    story.check(set(versions.values()) == {1}, "every file has one version: the older ones are gone, too")
    _files(story, view, mine, cast, before)
    _tables(story, view, mine, cast)

    records = view.records()
    there_still = {
        f"{record.dataset}/{record.id}" for record in mine.records if record.person in erased
    } & set(records)
    story.check(not there_still, "the records of the erased are gone")
    story.check(
        all(records[key] == fields for key, fields in before.records.items()),
        "everybody else's records are as sent",
    )
    corrected = [records[f"{r.dataset}/{r.id}"] for r in mine.records if r.person == cast.corrected]
    story.check(
        all(fields["name"] == _NEW_NAME for fields in corrected),
        "the corrected person's record has the new name",
    )
    references = references_of(emulator, here, CONTROLLER, erasure)
    story.check(
        len(references) == len(erased) and all(view.partition(each) == {"erased"} for each in references),
        "of each of the erased there is a tombstone under a keyed reference, and nothing else",
    )


def _files(story: Story, view: VaultView, mine: CustomerData, cast: Cast, before: Baseline) -> None:
    corrected_rows = 0
    for file in mine.files:
        expected = [
            (line, person)
            for line, person in zip(file.lines, file.people, strict=True)
            if person not in (cast.erased, cast.erased_here_only)
        ]
        now = view.body(file.key).splitlines(keepends=True)
        if len(now) != len(expected):
            raise DemoFailureError(f"{file.key} has {len(now)} rows instead of {len(expected)}")
        for line, (sent, person) in zip(now, expected, strict=True):
            if person == cast.corrected:
                wanted = json.loads(sent)
                wanted["author"]["name"] = _NEW_NAME
                corrected_rows += json.loads(line) == wanted
            elif line != sent:
                raise DemoFailureError(f"{file.key}: a row of somebody else changed")
    story.check(
        corrected_rows == mine.rows_of(cast.corrected), f"{corrected_rows} rows have the corrected name"
    )
    untouched = sum(sum(lines.values()) for lines in before.lines.values())
    story.check(untouched > 0, f"{untouched:,} rows of everybody else are byte for byte as sent, in order")


def _tables(story: Story, view: VaultView, mine: CustomerData, cast: Cast) -> None:
    rows = corrected_rows = 0
    for table in mine.tables:
        sent, now = (pq.read_table(io.BytesIO(each)) for each in (table.content, view.body(table.key)))
        expected = sent.to_pylist()
        for row, person in zip(expected, table.people, strict=True):
            if person == cast.corrected:
                row["buyer"]["name"] = _NEW_NAME
                corrected_rows += 1
        erased = (cast.erased, cast.erased_here_only)
        left = [row for row, who in zip(expected, table.people, strict=True) if who not in erased]
        if not now.schema.equals(sent.schema, check_metadata=True) or now.to_pylist() != left:
            raise DemoFailureError(f"{table.key}: not what was sent, less the erased, plus the correction")
        rows += len(left)
    story.check(
        corrected_rows > 0,
        f"{rows} rows of parquet have the values and the schema as sent, {corrected_rows} the corrected name",
    )


def _strangers(story: Story, api: PrivacyClient, here: Stack, there: Stack, erasure: str) -> None:
    story.chapter("What strangers see of it")
    with here.client(NEIGHBOUR) as other:
        status = other.call("GET", f"/v1/requests/{erasure}").status_code
        story.check(status == httpx.codes.NOT_FOUND, f"{NEIGHBOUR}'s token: request {erasure} is a 404")
    abroad = next(iter(there.vaults))
    with there.client(abroad) as other:
        status = other.call("GET", f"/v1/requests/{erasure}").status_code
        story.check(status == httpx.codes.NOT_FOUND, f"{abroad}'s token in {there.region}: a 404")
    with httpx.Client(verify=api.trust) as http:
        answer = http.get(
            f"{there.api_url}/v1/requests/{erasure}", headers={"Authorization": f"Bearer {api.token()}"}
        )
        story.check(
            answer.status_code == httpx.codes.UNAUTHORIZED,
            f"{CONTROLLER}'s own token is worth nothing in {there.region}: 401",
        )


def _neighbours(story: Story, emulator: Emulator, here: Stack, there: Stack, before: Baseline) -> None:
    story.chapter("The neighbours")
    for (name, customer), (versions, items) in before.neighbours.items():
        view = VaultView(emulator, here if name == here.name else there, customer)
        story.check(
            view.versions() == versions and view.digests() == items,
            f"{name}/{customer}: {len(versions)} object versions, {len(items)} items: the same SHA-256",
        )
    abroad = [
        decision
        for decision in emulator.decisions()
        if f"/{here.prefix}-" in decision["principal"] and decision["region"] != here.region
    ]
    story.check(not abroad, f"no role of {here.name} called anything outside {here.region}")


def _last_search(story: Story, emulator: Emulator, here: Stack, there: Stack, cast: Cast) -> None:
    story.chapter("Search everything the AWS holds for the erased")
    searched = search(emulator, here.region, _traces(cast.everyone))
    found = _by_person(searched, cast.everyone)
    _show(story, found[cast.erased])
    story.check(
        not found[cast.erased],
        f"{cast.erased.name} is nowhere in {here.region}; "
        f"{searched.places:,} places with {searched.size / 1e6:.1f} MB were read",
    )
    neighbour = here.vaults[NEIGHBOUR]
    left = found[cast.erased_here_only]
    elsewhere = [finding for finding in left if not _within(finding, neighbour)]
    _show(story, elsewhere)
    story.check(
        bool(left) and not elsewhere,
        f"{cast.erased_here_only.name} is left in {NEIGHBOUR}'s vault alone: nobody asked it",
    )
    for person, findings in _found(emulator, there, cast.everyone).items():
        _show(story, findings)
        story.check(not findings, f"{there.region} never saw {person.name}")


def _contract_ends(story: Story, emulator: Emulator, here: Stack, cast: Cast) -> None:
    story.chapter(f"{NEIGHBOUR}'s contract ends: new dates in the config, and the stack is deployed again")
    step_functions = emulator.client("stepfunctions", here.region)
    remaining = VaultView(emulator, here, CONTROLLER)
    before = (remaining.versions(), remaining.digests())
    counted = carry_out(step_functions, here, "contract-end", {"customer": NEIGHBOUR, "dry_run": True})
    for line in contract_end.inventory(counted):
        story.say(line)
    story.check(counted["reason"] == "not-due", "a dry run counts, and destroys nothing")
    with here.client(NEIGHBOUR) as api:
        story.check(api.call("GET", "/v1/requests").status_code == httpx.codes.OK, "its token is good")
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
        customers = json.loads(stack_config(HERE)["gdpr:customers"])
        for customer in customers:
            if customer["id"] == NEIGHBOUR:
                customer["contract"] |= {"ends": yesterday.isoformat(), "graceDays": 0, "keyDeletionDays": 7}
        deploy_stack(emulator, HERE, config={"gdpr:customers": json.dumps(customers)})
        watched = emulator.client("lambda", here.region).invoke(FunctionName=f"{here.prefix}-watch-contracts")
        story.check("FunctionError" not in watched, "the hourly watch sees that it is over, and ends it")
        machine = machine_arn(here, "contract-end")
        (execution,) = step_functions.list_executions(stateMachineArn=machine, statusFilter="RUNNING")[
            "executions"
        ]
        ended = follow(step_functions, execution["executionArn"], NEIGHBOUR, until="WaitForKey")
        for line in contract_end.outcome(NEIGHBOUR, ended):
            story.say(line)
        refused = api.call("GET", "/v1/requests")
        story.check(
            (refused.status_code, refused.json()["type"]) == (403, "urn:gdpr:problem:contract-ended"),
            "the token that was good is refused: 403, the contract has ended",
        )
    with here.client(NEIGHBOUR) as api:
        story.check(not _gets_a_token(api), "a new login is refused: the client is gone")
    _nothing_left(story, emulator, here, ended["look_at"])
    story.check(
        (remaining.versions(), remaining.digests()) == before,
        f"{CONTROLLER}'s vault has the same SHA-256 in every version and item",
    )
    (places,) = _found(emulator, here, [cast.erased_here_only]).values()
    _show(story, places)
    story.check(not places, f"{cast.erased_here_only.name} is nowhere in {here.region} any more")


def _gets_a_token(api: PrivacyClient) -> bool:
    try:
        api.token()
    except (ProblemError, httpx.HTTPError):
        return False
    return True


def _nothing_left(story: Story, emulator: Emulator, here: Stack, key_deletion: str) -> None:
    vault = here.vaults[NEIGHBOUR]
    s3, dynamodb, kms = (emulator.client(service, here.region) for service in ("s3", "dynamodb", "kms"))
    listed = s3.list_object_versions(Bucket=vault.bucket)
    left = len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))
    story.check(left == 0, "no version and no delete marker is left in the bucket")
    tables = [
        name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]
    ]
    story.check(vault.table not in tables, "the table is gone")
    key = kms.describe_key(KeyId=vault.key_arn)["KeyMetadata"]
    story.check(key["KeyState"] == "PendingDeletion", f"the key is pending deletion until {key_deletion}")
    kept = contract_end.evidence(s3, here, NEIGHBOUR)
    story.check(
        "scheduled" in kept and kept["scheduled"]["read_back"]["bucket"]["versions"] == 0,
        "what was destroyed and read back is kept as evidence, under Object Lock",
    )


def _found(emulator: Emulator, stack: Stack, people: Sequence[Person]) -> dict[Person, list[Finding]]:
    return _by_person(search(emulator, stack.region, _traces(people)), people)


def _traces(people: Sequence[Person]) -> list[str]:
    return [trace for person in people for trace in person.traces]


def _by_person(searched: Searched, people: Sequence[Person]) -> dict[Person, list[Finding]]:
    return {
        person: [finding for finding in searched.findings if finding.text in person.traces]
        for person in people
    }


def _within(finding: Finding, vault: Vault) -> bool:
    return finding.place.startswith((f"s3://{vault.bucket}/", f"table {vault.table},"))


def _show(story: Story, findings: Sequence[Finding]) -> None:
    for finding in findings[:10]:
        story.say(f"found in {finding.place} ({finding.form})")
