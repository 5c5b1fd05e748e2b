"""What is an e-mail address by its form, and what stands in its place."""

import pytest

from privacy.customers.addresses import may_be_address


@pytest.mark.parametrize(
    "text",
    [
        "anna@example.org",
        "  Anna.O'Neil+news@müsterpost.example ",
        "дарина@почта.example",
        "žofie.specimen＠post.example",  # noqa: RUF001  # the full-width form that NFKC maps to "@"
        "",
        "  ",
    ],
)
def test_addresses_in_every_spelling_that_references_take_for_the_same(text: str) -> None:
    assert may_be_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "anna",
        "anna@example.org;3,5",
        "anna@example.org\tx",
        "'anna@example.org'",
        '"anna@example.org"',
        "anna@example.org|2",
        "a@b@c",
        "anna＠example.org；x",  # noqa: RUF001  # a full-width semicolon
    ],
)
def test_what_holds_more_than_an_address_is_none(text: str) -> None:
    assert not may_be_address(text)
