import hashlib
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.customers.references import is_blank, is_named_in, normalise, subject_reference

SECRET = b"s" * 32
any_text = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    "spelling",
    [
        "ada@example.org",
        " Ada@Example.ORG\n",
        "\uff21\uff24\uff21@example.org",
        "ada\uff20example.org",
    ],
)
def test_spellings_of_one_mailbox_are_one_subject(spelling: str) -> None:
    assert subject_reference(SECRET, spelling, "email") == subject_reference(
        SECRET, "ada@example.org", "email"
    )


def test_exact_identifiers_are_left_alone() -> None:
    assert normalise(" A-17 ", "exact") == " A-17 "
    assert subject_reference(SECRET, "a-17", "exact") != subject_reference(SECRET, "A-17", "exact")


def test_a_reference_is_the_hmac_of_the_normalised_identifier() -> None:
    expected = hmac.new(SECRET, b"ada@example.org", hashlib.sha256).hexdigest()
    assert subject_reference(SECRET, "ADA@example.org", "email") == expected
    assert subject_reference(b"t" * 32, "ADA@example.org", "email") != expected


@given(any_text)
@example("\u00df\u0301")
@example("\u0345\u0301")
@example("İ@ǰ.ΐ")
@example("\ud800")
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text, "email")
    assert normalise(once, "email") == once
    assert len(subject_reference(SECRET, text, "email")) == 64


@given(any_text)
def test_case_and_surrounding_space_never_matter_for_email(text: str) -> None:
    assert normalise(f" {text}\t", "email") == normalise(text, "email")
    assert normalise(text.casefold(), "email") == normalise(text, "email")


@pytest.mark.parametrize(("text", "blank"), [("", True), (" \t", True), ("\u3000", True), ("0", False)])
@pytest.mark.parametrize("rule", ["email", "exact"])
def test_blank(text: str, blank: bool, rule: str) -> None:
    assert is_blank(text, rule) is blank


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="exact"):
        normalise("a", "phone")


@pytest.mark.parametrize(
    ("name", "identifier", "rule", "named"),
    [
        ("p-1042", "ada@example.org", "email", False),
        ("by-Ada@Example.org.txt", "ada@example.org", "email", True),
        ("cust-00981234", "00981234", "exact", True),
        ("x00981234x", "00981234", "exact", True),
        ("invoice-17", "7", "exact", False),
        ("invoice-7", "7", "exact", True),
        ("7", "7", "exact", True),
        ("ADA-1", "ada", "exact", False),
        ("ADA-1", "ada", "email", True),
        ("a.c", "abc", "exact", False),
    ],
)
def test_identifiers_inside_names(name: str, identifier: str, rule: str, named: bool) -> None:
    assert is_named_in(name, identifier, rule) is named


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(identifier: str) -> None:
    # A letter from beyond ASCII at the end, which folds to itself, takes the long way.
    assert normalise(identifier + "ж", "email") == (
        normalise("." + identifier + ".", "email")[1:-1].lstrip() + "ж"
    )
