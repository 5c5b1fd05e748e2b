"""Generated data: repeatable, fictitious, and shaped as the stacks' config says."""

import itertools
import json
import unicodedata

import pytest

from local.customers import customers_of
from local.demo.generate import FILES, ROWS, RegionData, generate
from local.deploy.settings import stack_config, stack_names


@pytest.fixture(scope="module")
def data() -> dict[str, RegionData]:
    return generate(7, {stack: customers_of(stack_config(stack)) for stack in stack_names()})


def test_the_same_seed_gives_the_same_bytes(data: dict[str, RegionData]) -> None:
    stacks = {stack: customers_of(stack_config(stack)) for stack in stack_names()}
    assert generate(7, stacks) == data
    assert generate(8, stacks) != data


def test_each_region_has_two_customers_with_thousands_of_rows_in_several_files(
    data: dict[str, RegionData],
) -> None:
    assert len(data) >= 2
    for region in data.values():
        assert len(region.customers) >= 2
        for customer in region.customers.values():
            assert sum(len(file.lines) for file in customer.files) == ROWS
            assert len({file.key for file in customer.files}) == FILES
            assert customer.records
            assert customer.letters


def test_some_people_are_known_to_both_customers_and_some_to_one(data: dict[str, RegionData]) -> None:
    for region in data.values():
        assert len(region.shared()) >= 3
        for customer in region.customers:
            assert len(region.only_at(customer)) >= 20


def test_nobody_is_in_two_regions(data: dict[str, RegionData]) -> None:
    traces = [
        {
            trace
            for customer in region.customers.values()
            for person in customer.people
            for trace in person.traces
        }
        for region in data.values()
    ]
    for one, other in itertools.combinations(traces, 2):
        assert not one & other


def test_every_row_names_the_person_it_is_about_in_some_spelling(data: dict[str, RegionData]) -> None:
    for region in data.values():
        for customer in region.customers.values():
            subjects = {dataset.name: dataset.subjects for dataset in customer.customer.datasets}
            setting = customer.customer.subject_id
            for file in customer.files:
                for line, person in zip(file.lines, file.people, strict=True):
                    value = json.loads(line)
                    for part in subjects[file.dataset][0].split("."):
                        value = value[part]
                    assert value in person.spellings(setting)


def test_the_spellings_of_an_address_are_one_after_normalisation(data: dict[str, RegionData]) -> None:
    person = data["eu-west"].only_at("acme")[0]
    normalised = {
        unicodedata.normalize("NFKC", each).strip().casefold() for each in person.spellings("email")
    }
    assert len(person.spellings("email")) > 3
    assert len(normalised) == 1


def test_names_go_beyond_ascii_and_mail_goes_nowhere(data: dict[str, RegionData]) -> None:
    people = data["eu-west"].customers["acme"].people
    assert any(not person.name.isascii() for person in people)
    assert all(person.email.endswith(".example") for person in people)


def test_the_first_person_has_something_of_every_kind(data: dict[str, RegionData]) -> None:
    customer = data["eu-west"].customers["acme"]
    person = data["eu-west"].only_at("acme")[0]
    assert customer.rows_of(person) >= FILES
    assert any(letter.person == person for letter in customer.letters)
    assert any(record.person == person for record in customer.records)
