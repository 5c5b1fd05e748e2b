"""Values that stand in dictionaries without being in any row: whoever is erased is not left there either."""

import io
import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from privacy import environment
from privacy.customers.customer import Dataset
from privacy.parquet.source import ParquetSource
from privacy.parquet.thrift import I32

from ..support.parquet_files import buyer, edited, loaded, opened, stored, table
from .parquet_pages import Page, pages_of, rebuilt

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB, CARL = "anna@example.org", "bob@example.org", "carl@example.org"


def buyers(*people: tuple[str, str]) -> pa.StructArray:
    """Emails and names as categories, all of which go into every row group and file."""
    emails, names = zip(*people, strict=True)
    columns = [pa.array(emails).dictionary_encode(), pa.array(names).dictionary_encode()]
    return pa.StructArray.from_arrays(columns, names=["email", "name"])


def raw(world: "World") -> bytes:
    """All pages of all parquet files that the vault has, as they are before they are compressed."""
    found = []
    for key, _, _ in world.versions():
        content = world.read(key)
        source = ParquetSource(io.BytesIO(content))
        found.append(content)
        for group, chunks in enumerate(source.chunks):
            for leaf in range(len(chunks)):
                for header, body in pages_of(content, group, leaf):
                    size = header[2][1]
                    found.append(pa.decompress(body, size, "snappy", asbytes=True) if size else b"")
    return b"".join(found)


def test_an_erased_person_is_in_no_dictionary_of_another_file(world: "World") -> None:
    people = buyers((ANNA, "Anna Sousa"), (BOB, "Bob"), (CARL, "Carl"), (BOB, "Bob"))
    sold = pa.table({"country": ["de", "fr", "fr", "it"], "buyer": people, "note": ["a", "b", "c", "d"]})
    for number in range(4):
        world.put(f"orders/{number}", stored(sold.slice(number, 1)))
    assert ANNA.encode() in world.read("orders/1")
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert ANNA.encode() not in raw(world)
    assert b"Anna Sousa" not in raw(world)
    assert loaded(world.read("orders/1")).column("note").to_pylist() == ["b"]
    assert world.partition(ANNA) == ["erased"]
    # Nobody is noted where they no longer stand.
    assert world.partition(CARL) == ["object#orders/2"]
    assert world.partition(BOB) == ["object#orders/1", "object#orders/3"]


def test_an_old_value_is_in_no_dictionary_after_its_correction(world: "World") -> None:
    people = buyers((ANNA, "Anna Wrongly"), (BOB, "Bob"), (CARL, "Carl"), (BOB, "Bob"))
    content = stored(pa.table({"buyer": people, "note": ["a", "b", "c", "d"]}), row_group_size=2)
    world.put("orders/a", content)
    world.put("orders/b", stored(pa.table({"buyer": people.slice(1), "note": ["b", "c", "d"]})))
    request = world.correct(ANNA, [{"dataset": "orders", "set": {"buyer.name": "Anna Right"}}])
    world.run()
    assert world.request(request).state == "completed"
    assert b"Wrongly" not in raw(world)
    assert ANNA.encode() not in world.read("orders/b")
    names = pa.compute.struct_field(loaded(world.read("orders/a")).column("buyer"), "name")
    assert names.to_pylist() == ["Anna Right", "Bob", "Carl", "Bob"]


def test_a_scanned_file_is_looked_through_for_them_too(world: "World") -> None:
    sold = Dataset("sold", "parquet", "sold/", ("buyer.email",), {"buyer.email": "email"}, index="scan")
    datasets = json.dumps([asdict(sold) | {"subject": "buyer.email"}])
    world.dynamodb.update_item(
        TableName=os.environ[environment.REGISTRY_TABLE],
        Key={"pk": {"S": "customer#acme"}},
        UpdateExpression="SET datasets = :datasets",
        ExpressionAttributeValues={":datasets": {"S": datasets}},
    )
    world.customer = replace(world.customer, datasets=(sold,))
    world.use_table(world.customer.table)
    people = buyers((ANNA, "Anna Sousa"), (BOB, "Bob"))
    world.put("sold/a", stored(pa.table({"buyer": people.slice(1)})))
    untouched = stored(table({"buyer": buyer(BOB)}))
    version = world.put("sold/b", untouched)
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert b"Anna Sousa" not in raw(world)
    assert ("sold/b", version, False) in world.versions()


def test_personal_values_without_a_row_lead_every_erasure_to_their_file(world: "World") -> None:
    """Names are categories, and who they belong to is not."""
    names = pa.array(["Anna Sousa", "Bob"]).dictionary_encode()
    kinds = pa.array(["first", "second"]).dictionary_encode()
    people = pa.table({"buyer": [{"email": ANNA}, {"email": BOB}], "note": names})
    world.put("orders/a", stored(people.slice(0, 1)))
    world.put("orders/b", stored(people.slice(1)))
    harmless = stored(pa.table({"buyer": [{"email": BOB}], "kind": kinds.slice(1)}))
    version = world.put("orders/c", harmless)
    request = world.erase(ANNA)
    world.run()
    assert world.request(request).state == "completed"
    assert b"Anna Sousa" not in raw(world)
    assert loaded(world.read("orders/b")).column("note").to_pylist() == ["Bob"]
    assert world.partition(BOB) == ["object#orders/b", "object#orders/c"]
    # Once is enough, and what is not personal is no reason.
    before = world.versions()
    world.erase("nobody@example.org")
    world.run()
    assert world.versions() == before
    assert ("orders/c", version, False) in before
    assert not [item for item in world.items() if item["pk"]["S"] == "archived"]


def test_late_arrivals_in_a_dictionary_alone_are_noticed(world: "World") -> None:
    people = buyers((ANNA, "Anna Sousa"), (BOB, "Bob"))
    world.put("orders/a", stored(pa.table({"buyer": people.slice(1)})), indexed=False)
    world.erase(ANNA)
    world.run()
    assert world.deliver() == []
    world.run()
    assert ANNA.encode() not in raw(world)


def test_metadata_that_name_the_erased_person_are_told(world: "World") -> None:
    """As Spark's notes about categories do: nobody can say what may be changed in there."""
    rows = table({"no": 1, "buyer": buyer(ANNA)}, {"no": 2, "buyer": buyer(BOB)})
    vals = json.dumps({"ml_attr": {"vals": [ANNA, BOB]}})
    world.put("orders/a", stored(rows.replace_schema_metadata({"notes": vals})))
    world.put("orders/b", stored(rows.replace_schema_metadata({"notes": f"x{ANNA}"})))
    request = world.erase(ANNA)
    world.run()
    done = world.request(request)
    assert (done.state, done.detail and done.detail["unparsed_count"]) == ("partial", 1)
    assert loaded(world.read("orders/a")).column("no").to_pylist() == [2]


@pytest.mark.parametrize("field", ["caller", "callee"])
def test_whichever_field_names_a_person_no_dictionary_and_no_metadata_does(
    world: "World", field: str
) -> None:
    """Of several fields that name people, each has a dictionary of its own."""
    people = pa.array([ANNA, BOB, CARL]).dictionary_encode()
    others = pa.array([CARL, CARL, BOB])
    emails = {"caller": others, "callee": others, field: people}
    callees = pa.ListArray.from_arrays(
        [0, 1, 2, 3], pa.StructArray.from_arrays([emails["callee"]], ["email"])
    )
    calls = pa.table({"caller": emails["caller"], "callees": callees, "note": ["1", "2", "3"]})
    noted = calls.replace_schema_metadata({"notes": json.dumps([ANNA])})
    world.put("calls/a", stored(calls.slice(1)))
    world.put("calls/b", stored(noted.slice(1) if field == "caller" else noted))
    assert sorted(world.partition(ANNA)) == ["object#calls/a", "object#calls/b"]
    request = world.erase(ANNA)
    world.run()
    done = world.request(request)
    assert (done.state, done.detail and done.detail["unparsed_count"]) == ("partial", 1)
    assert ANNA.encode() not in raw(world).replace(json.dumps([ANNA]).encode(), b"")
    assert loaded(world.read("calls/a")).column("note").to_pylist() == ["2", "3"]
    assert loaded(world.read("calls/b")).column("note").to_pylist() == ["2", "3"]


def test_a_number_in_a_dictionary_alone_is_who_prints_the_same() -> None:
    numbers = pa.table({"no": pa.array([0.5, 0.1], pa.float32())})
    whole, rest = stored(numbers), stored(numbers.slice(0, 1))
    content = rebuilt(rest, pages=lambda group, leaf, pages: [*pages_of(whole, group, leaf)[:1], *pages[1:]])
    left, edits = edited(content, "no", "0.1")
    assert edits.done.erased == {"0.1"}
    assert loaded(left).column("no").to_pylist() == [0.5]


KINDS: dict[str, Any] = {
    "text": ["b", None, "secret"],
    "bytes": [b"b", b"\xff", b"secret"],
    "whole": [2, 3, 1234567],
    "number": [float("nan"), -0.0, 1234.5],
    "fixed": pa.array([b"bbbbbb", b"cccccc", b"secret"], pa.binary(6)),
    "day": pa.array([2, 3, 19_000], pa.date32()),
    "list": [["b"], ["b", "c"], ["b", "secret"]],
    "in struct": [{"a": ["b"], "b": 2}, {"a": ["b"], "b": 1}, {"a": ["secret"], "b": 1}],
    "map": pa.array([[("k", "b")], [("k", "b")], [("k", "secret")]], pa.map_(pa.string(), pa.string())),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("page", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_a_dictionary_of_any_type_is_written_anew(kind: str, page: str, codec: str) -> None:
    """The last row is only in the dictionaries."""
    how: dict[str, Any] = {"data_page_version": page, "compression": codec, "store_schema": False}
    before = pa.table({"id": ["b", "c", "a"], "x": KINDS[kind]})
    whole, rest = stored(before, **how), stored(before.slice(0, 2), **how)

    def with_all_values(group: int, leaf: int, pages: list[Page]) -> list[Page]:
        return [*pages_of(whole, group, leaf)[:1], *pages[1:]]

    content = rebuilt(rest, pages=with_all_values)
    assert str(loaded(content).to_pylist()) == str(before.slice(0, 2).to_pylist())
    left, edits = edited(content, "id", "nobody")
    assert (edits.done.rows_dropped, edits.done.unnamed) == (0, {"a"})
    assert edits.done.unused_dropped >= 2
    assert str(loaded(left).to_pylist()) == str(before.slice(0, 2).to_pylist())
    again, edits = edited(left, "id", "nobody")
    assert (again == left, edits.done.unused_dropped) == (True, 0)


def test_a_dictionary_that_was_given_up_half_way_is_looked_into() -> None:
    """Behind pages of numbers there are pages of plain values, which may say what the dictionary says."""
    how: dict[str, Any] = {"dictionary_pagesize_limit": 40, "write_batch_size": 3, "data_page_size": 1}
    rest = pa.table({"id": ["b"] * 12, "x": ["aa", "bb", "aa"] + [f"plain {n}" for n in range(9)]})
    content = stored(rest, compression="none", **how)
    assert [header.keys() & {5, 7} for header, _ in pages_of(content, 0, 1)][:3] == [{7}, {5}, {5}]
    assert "PLAIN" in opened(content).metadata.row_group(0).column(1).encodings
    assert edited(content, "id", "nobody")[0] == content
    unused = rebuilt(
        content, pages=lambda _, leaf, pages: [with_one_more(pages[0]), *pages[1:]] if leaf else pages
    )
    assert loaded(unused).equals(rest)
    assert b"SECRET" in unused
    assert edited(unused, "id", "nobody")[0] == unused
    left, edits = edited(unused, "id", "nobody", personal={"x"})
    assert (loaded(left).equals(rest), edits.done.unused_dropped) == (True, 1)
    assert b"SECRET" not in left


def with_one_more(page: Page) -> Page:
    """A dictionary page without compression, and a value more in it."""
    header, body = page
    body += b"\6\0\0\0SECRET"
    header[2] = header[3] = I32, len(body)
    header[7][1][1] = I32, header[7][1][1][1] + 1
    return header, body
