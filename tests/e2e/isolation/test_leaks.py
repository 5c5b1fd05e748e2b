"""After everything else: what was erased is nowhere, and nothing is where it does not belong."""

import pytest

from local.emulator.search import Finding, search
from tests.e2e.support import World, completed, somebody


def test_an_erased_person_is_found_nowhere(world: World) -> None:
    person = somebody()
    stack, api = world.stacks["eu-west"], world.api("eu-west", "acme")
    api.put_record(
        "profiles", "leak-1", person, {"name": "Leak Test", "email": person, "phone": "+99 555 0000 4711"}
    )
    world.send_rows([person], "feedback/leak.jsonl", text=f"signed {person}")
    api.upload("letters", "letters/leak.txt", f"Dear {person}".encode(), subject=person)
    traces = [person, "Leak Test", "+99 555 0000 4711"]
    before = search(world.emulator, stack.region, traces)
    assert {finding.text for finding in before.findings} == set(traces)
    correction = api.request_correction(person, [{"dataset": "profiles", "set": {"name": "Corrected Leak"}}])

    completed(api, api.request_erasure([person]))
    completed(api, correction)

    assert search(world.emulator, stack.region, [*traces, "Corrected Leak"]).findings == ()


def test_the_search_reads_what_functions_log(world: World) -> None:
    """They log request ids; if these were not found, not finding a name in the logs would mean nothing."""
    request = completed(
        world.api("eu-west", "acme"), world.api("eu-west", "acme").request_erasure([somebody()])
    )
    found = search(world.emulator, "eu-west-1", [request.id]).findings
    assert any(finding.place.startswith("log group /aws/lambda/gdpr-eu-west-") for finding in found)


def test_people_are_named_in_their_customers_vaults_only(world: World) -> None:
    """Not in logs, queues, inputs, histories, tags, the request table, or another vault."""
    for name, stack in world.stacks.items():
        for customer, data in world.data[name].customers.items():
            person = world.data[name].only_at(customer)[-1]
            assert data.rows_of(person) > 0
            found = search(world.emulator, stack.region, person.traces).findings
            assert found
            vault = stack.vaults[customer]
            inside = (f"s3://{vault.bucket}/", f"table {vault.table},")
            assert [finding for finding in found if not finding.place.startswith(inside)] == []


def test_inside_a_vault_the_identifier_is_in_the_customers_own_data_only(world: World) -> None:
    stack = world.stacks["eu-west"]
    person = world.data["eu-west"].only_at("acme")[-1]

    def is_the_customers(finding: Finding) -> bool:
        vault = stack.vaults["acme"]
        return finding.place.startswith(
            (f"s3://{vault.bucket}/", f"table {vault.table}, item subject#")
        ) and (" / object#" not in finding.place)

    found = search(world.emulator, stack.region, person.traces).findings
    assert [finding for finding in found if not is_the_customers(finding)] == []


@pytest.mark.parametrize(("home", "elsewhere"), [("eu-west", "us-east"), ("us-east", "eu-west")])
def test_a_region_never_sees_the_other_regions_people(world: World, home: str, elsewhere: str) -> None:
    traces = [
        trace
        for data in world.data[home].customers.values()
        for person in data.people[:2]
        for trace in (person.email, person.name)
    ]
    assert search(world.emulator, world.stacks[elsewhere].region, traces).findings == ()


def test_no_role_of_a_stack_calls_anything_outside_its_region(world: World) -> None:
    for stack in world.stacks.values():
        abroad = [
            decision
            for decision in world.emulator.decisions()
            if f"/{stack.prefix}-" in decision["principal"]
            and decision["region"] != stack.region
            and decision["allowed"]
        ]
        assert abroad == []
