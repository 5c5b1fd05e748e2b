"""What prints the same number is the same person, in every format; text stays text."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.customers.numbers import as_number, shortest
from privacy.customers.references import asked_references, subject_reference
from tests.properties import examples

from ..support.parquet_files import loaded, stored
from ..support.world import DATASETS

if TYPE_CHECKING:
    from ..support.world import World

SECRET = b"s" * 32


@pytest.mark.parametrize(
    ("spelled", "printed"),
    [
        ("12", "12"),
        ("12.0", "12"),
        ("12.00", "12"),
        ("1.2e1", "12"),
        ("1200E-2", "12"),
        ("120", "120"),
        ("123.450", "123.45"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("-12.50", "-12.5"),
        ("0.001", "0.001"),
        ("1e-3", "0.001"),
        ("100.001e1", "1000.01"),
        ("18446744073709551616", "18446744073709551616"),
        ("1e400", "1e400"),
        ("1" + "0" * 400, "1e400"),
        ("1e999999999", "1e999999999"),
        ("1e-999999999", "1e-999999999"),
        ("Infinity", "Infinity"),
    ],
)
def test_a_number_prints_by_its_value(spelled: str, printed: str) -> None:
    assert shortest(spelled) == printed


@examples(100)
@given(value=st.decimals(allow_nan=False, allow_infinity=False), zeros=st.integers(0, 3))
@example(Decimal("1E+400"), 0)
def test_every_spelling_of_a_value_prints_the_same(value: Decimal, zeros: int) -> None:
    spellings = {str(value), f"{value:E}"}
    if -500 < value.as_tuple().exponent < 500:  # type: ignore[operator]  # it is a number
        plain = f"{value:f}"
        spellings |= {plain + ("" if "." in plain else ".") + "0" * zeros if zeros else plain}
    printed = {shortest(each) for each in spellings}
    assert len(printed) == 1
    assert Decimal(printed.pop()) == value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("12.0", "12"),
        (" 12.00 ", "12"),
        ("1.2345678901234568e+17", "123456789012345680"),
        ("-5.0", "-5"),
        ("007", "007"),
        ("12e4", "12e4"),
        ("1e-5", "1e-5"),
        ("+12", "+12"),
        ("12.", "12."),
        (".5", ".5"),
        ("1.2.0", "1.2.0"),
        ("12,0", "12,0"),
        ("\u0663.\u0660", "\u0663.\u0660"),
        ("ann", "ann"),
        ("", ""),
    ],
)
def test_text_prints_a_number_or_stays_text(text: str, read: str) -> None:
    assert as_number(text) == read


def test_an_identifier_asks_for_the_text_and_for_the_number() -> None:
    def refs(*texts: str) -> list[str]:
        return [subject_reference(SECRET, text, "exact") for text in texts]

    assert asked_references(SECRET, "12.0", "exact") == refs("12.0", "12")
    assert asked_references(SECRET, "12", "exact") == refs("12")
    assert asked_references(SECRET, "007", "exact") == refs("007")
    assert asked_references(SECRET, " 12.0 ", "email") == refs("12.0", "12")


JSONL = [b'{"id":12.0}\n', b'{"id":1.2E1}\n', b'{"id":12}\n', b'{"id":"12"}\n']
OTHERS = [b'{"id":"12.0"}\n', b'{"id":"012"}\n', b'{"id":12.5}\n', b'{"id":NaN}\n', b'{"id":null}\n']
CSV = [b"1;12.0;x\n", b"2;'12.00';x\n", b"3;12;x\n"]
CSV_OTHERS = [b"4;012;x\n", b"5;12.5;x\n", b"6;NaN;x\n", b"7;;x\n"]


@pytest.mark.parametrize("asked", ["12", "12.0", "12.000", "1.2e+1"])
def test_whoever_asks_for_a_number_is_found_in_every_format(world: "World", asked: str) -> None:
    numbered = {"buyer.email": "id"}
    world.declare(*[d | {"personal": numbered} if d["name"] == "orders" else d for d in DATASETS])
    world.put("reviews/a", b"".join(JSONL + OTHERS[1:]))
    world.put("sales/a", b"".join(CSV + CSV_OTHERS))
    for name, kind in (("f", pa.float64()), ("h", pa.float32()), ("i", pa.int8())):
        world.put(f"orders/{name}", orders(pa.array([12, None, 13], pa.float64()).cast(kind)))
    decimals = [Decimal("12.00"), Decimal("12.50"), None]
    world.put("orders/d", orders(pa.array(decimals, pa.decimal128(38, 2))))
    request = world.erase(asked)
    world.run()
    assert world.request(request).state == "completed"
    assert world.contents("reviews/a") == [b"".join(OTHERS[1:])]
    assert world.contents("sales/a") == [b"".join(CSV_OTHERS)]
    assert [len(loaded(world.read(f"orders/{name}"))) for name in "fhid"] == [2, 2, 2, 2]


def orders(people: pa.Array) -> bytes:
    return stored(pa.table({"buyer": pa.StructArray.from_arrays([people], ["email"])}))


def test_text_is_found_as_it_reads(world: "World") -> None:
    world.put("reviews/a", b"".join(OTHERS))
    text = pa.array(["12.0", "12", "012", None])
    world.put("orders/t", orders(text))
    world.erase("12")
    world.run()
    assert world.contents("reviews/a") == [b"".join(OTHERS)]
    assert loaded(world.read("orders/t")).column("buyer").to_pylist() == [
        {"email": each} for each in ("12.0", "012", None)
    ]
    world.erase("12.0")
    world.run()
    assert world.contents("reviews/a") == [b"".join(OTHERS[1:])]
    assert len(loaded(world.read("orders/t"))) == 2


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        (pa.array([Decimal("123.450"), Decimal("123.451")], pa.decimal128(6, 3)), "123.450"),
        (pa.array([12.1, 12.25], pa.float32()), "12.1"),
        (pa.array([float("inf"), 1.0]), "Infinity"),
        (pa.array([1e22, 1.0]), "1e+22"),
    ],
)
def test_other_numbers_of_parquet(world: "World", column: pa.Array, asked: str) -> None:
    world.put("orders/a", orders(column))
    world.erase(asked)
    world.run()
    assert loaded(world.read("orders/a")).column("buyer").to_pylist() == [{"email": column[1].as_py()}]


def test_a_correction_asks_by_the_same_rule(world: "World") -> None:
    world.put("reviews/a", b'{"id":12,"text":"a"}\n{"id":"12.0","text":"b"}\n{"id":13,"text":"c"}\n')
    request = world.correct("12.0", [{"dataset": "reviews", "set": {"text": "new"}}])
    world.run()
    assert world.request(request).state == "completed"
    assert world.read("reviews/a").count(b'"new"') == 2


def test_elements_are_numbers_too(world: "World") -> None:
    world.put("threads/a", b'{"members":[12.0,13,"12"]}\n')
    world.erase("12")
    world.run()
    assert world.contents("threads/a") == [b'{"members":[13]}\n']
