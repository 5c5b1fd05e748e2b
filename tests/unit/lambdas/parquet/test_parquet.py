"""Parquet files: rows go and values change, every other value, the schema and the way of storing stay."""

import io
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.parquet import thrift
from privacy.parquet.source import (
    DATA_PAGE,
    OFFSET_INDEX,
    OFFSET_INDEX_BYTES,
    PAGE_OFFSET,
    PAGES,
    ParquetSource,
    list_of,
)
from privacy.vault import scratch
from tests.properties import examples

from ..support.parquet_files import buyer, edited, loaded, opened, stored, table

if TYPE_CHECKING:
    from ..support.world import World

ANNA, BOB = "anna@example.org", "bob@example.org"


# -- through the whole run


def test_rows_of_the_subject_go_and_everything_else_stays(world: "World") -> None:
    rows = [
        {"no": 1, "buyer": buyer(BOB), "note": "a", "amount": Decimal("1.50")},
        {"no": 2, "buyer": buyer("ANNA@example.org ", "Anna"), "note": "secret of Anna"},
        {"no": 3, "buyer": None, "note": ""},
        {"no": 4, "buyer": buyer(None), "note": None},
        {"no": 5, "buyer": buyer(ANNA, "Anna"), "note": "another secret"},
    ]
    world.put("orders/a.parquet", stored(table(*rows), row_group_size=2, compression="zstd"))
    request = world.erase(ANNA)
    world.run()
    (left,) = world.contents("orders/a.parquet")
    assert loaded(left).equals(table(rows[0], rows[2], rows[3]), check_metadata=True)
    assert opened(left).metadata.num_row_groups == 2
    assert world.request(request).state == "completed"
    plain, _ = edited(stored(table(*rows), compression="none"), "buyer.email", "ANNA@example.org ", ANNA)
    assert b"secret" not in plain
    assert b"nna" not in plain


def test_a_file_that_needs_no_change_is_not_written(world: "World") -> None:
    world.put("orders/a", stored(table({"no": 1, "buyer": buyer(ANNA)})))
    version = world.put("orders/a", stored(table({"no": 1, "buyer": buyer(BOB)})))
    world.erase(ANNA)
    world.run()
    assert world.versions() == [("orders/a", version, False)]


def test_an_entry_counts_the_rows_of_its_subject(world: "World") -> None:
    rows = [{"buyer": buyer(ANNA)}, {"buyer": buyer(BOB)}, {"buyer": buyer(ANNA.upper())}]
    world.put("orders/a", stored(table(*rows), row_group_size=1))
    entries = {item["pk"]["S"]: item["rows"]["N"] for item in world.items() if "rows" in item}
    assert entries == {f"subject#{world.ref(ANNA)}": "2", f"subject#{world.ref(BOB)}": "1"}


def test_a_correction_sets_fields_inside_structs(world: "World") -> None:
    rows = [
        {"no": 1, "buyer": buyer(ANNA, "Ana"), "note": "x", "amount": Decimal("1.00")},
        {"no": 2, "buyer": buyer(BOB), "note": "y"},
        {"no": 3, "buyer": buyer(ANNA, "Änna"), "note": None},
    ]
    content = stored(table(*rows), row_group_size=2)
    world.put("orders/a", content)
    change = {"buyer.name": "Änna", "note": None, "amount": 2.25}
    request = world.correct(ANNA, [{"dataset": "orders", "set": change}])
    world.run()
    (left,) = world.contents("orders/a")
    rows[0] |= {"buyer": buyer(ANNA, "Änna"), "note": None, "amount": Decimal("2.25")}
    rows[2] |= {"amount": Decimal("2.25")}
    assert loaded(left).equals(table(*rows), check_metadata=True)
    assert world.request(request).state == "completed"
    column = opened(content).metadata.row_group(0).column(0)
    pages = slice(column.data_page_offset, column.data_page_offset + 20)
    assert content[pages] in left


def test_a_value_that_does_not_fit_is_reported_and_its_row_stays(world: "World") -> None:
    rows = [{"no": 1, "buyer": buyer(BOB)}, {"no": 2, "buyer": buyer(ANNA), "note": "x"}]
    content = stored(table(*rows), row_group_size=1)
    world.put("orders/a", content)
    request = world.correct(ANNA, [{"dataset": "orders", "set": {"note": "new", "amount": 1.234}}])
    world.run()
    assert world.contents("orders/a") == [content]
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    (entry,) = done.detail["unparsed"]
    assert (entry["row"], entry["reason"]) == (2, "a new value does not fit the type of its column")
    assert "object" in entry


@pytest.mark.parametrize("inside", [False, True])
def test_a_field_that_is_there_twice_is_not_set_and_its_rows_are_reported(
    world: "World", inside: bool
) -> None:
    rows, twice = [buyer(BOB), buyer(ANNA), buyer(ANNA)], pa.array(["Wrong", "Wrong", "Wrong"])
    emails = pa.array([each["email"] for each in rows])
    if inside:
        names = ["email", "name", "name"]
        content = pa.table({"buyer": pa.StructArray.from_arrays([emails, twice, twice], names=names)})
    else:
        content = pa.Table.from_arrays([pa.array(rows), twice, twice], names=["buyer", "note", "note"])
    world.put("orders/a", stored(content))
    before = world.contents("orders/a")
    request = world.correct(ANNA, [{"dataset": "orders", "set": {"buyer.name": "Right", "note": "Right"}}])
    world.run()
    assert world.contents("orders/a") == before
    done = world.request(request)
    assert done.state == "partial"
    assert done.detail is not None
    told = [(entry["row"], entry["reason"]) for entry in done.detail["unparsed"]]
    assert told == [(n, "file has the field twice, so that it cannot be set") for n in (2, 3)]


def test_a_row_goes_with_one_of_its_several_subjects_or_only_the_element(world: "World") -> None:
    person = pa.struct([("email", pa.string()), ("role", pa.string())])
    for prefix, name in (("stays", "guests"), ("groups", "members")):
        schema = pa.schema([("title", pa.string()), (name, pa.list_(person))])
        both = [{"email": BOB, "role": "a"}, {"email": ANNA, "role": "b"}]
        rows = [{"title": "1", name: both}, {"title": "2", name: []}, {"title": "3", name: None}]
        rows.append({"title": "4", name: [None, {"email": BOB, "role": None}]})
        world.put(f"{prefix}/a", stored(table(*rows, schema=schema), row_group_size=2))
    request = world.erase(ANNA)
    world.run()
    assert loaded(world.read("stays/a")).column("title").to_pylist() == ["2", "3", "4"]
    assert loaded(world.read("groups/a")).column("members").to_pylist() == [
        [{"email": BOB, "role": "a"}],
        [],
        None,
        [None, {"email": BOB, "role": None}],
    ]
    assert world.request(request).state == "completed"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1] + b"X", "not a parquet file"),
        (lambda content: content[:-4] + b"PARE", "parquet content is encrypted"),
        (lambda content: content[:-200] + bytes(100) + content[-100:], "parquet content is damaged"),
        (lambda content: content[:4] + bytes(80) + content[84:], "parquet content is damaged"),
        (lambda content: content[:6], "parquet content ends too early"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_and_left_alone(
    world: "World", damage: Callable[[bytes], bytes], reason: str
) -> None:
    content = stored(table({"no": 1, "buyer": buyer(ANNA)}, {"no": 2}), compression="gzip")
    world.put("orders/a", content)
    damaged = damage(content)
    world.put("orders/a", damaged)
    request = world.erase(ANNA)
    world.run()
    assert sorted(world.contents("orders/a")) == sorted([content, damaged])
    done = world.request(request)
    assert done.state == "failed"
    assert done.detail is not None
    assert done.detail["problems"][0]["reason"] == "content-damaged"
    with pytest.raises(Exception, match=reason):
        edited(damaged, "buyer.email", ANNA)


def test_a_file_larger_than_the_disk_is_not_begun(world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    content = stored(table({"no": 1, "buyer": buyer(ANNA)}))
    world.put("orders/a", content)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    world.erase(ANNA)
    planned = world.plan("run-1")
    with pytest.raises(Exception, match="visits"):
        world.visit(planned)
    assert world.contents("orders/a") == [content]
    assert [i["failure"]["S"] for i in world.items() if "failure" in i] == ["ObjectTooLargeError"]


# -- a file alone


def test_values_that_print_the_same_are_the_same_person() -> None:
    def left(values: list[Any], kind: pa.DataType, gone: str) -> list[Any]:
        content = stored(pa.table({"id": pa.array(values, kind)}))
        found: list[Any] = loaded(edited(content, "id", gone)[0]).column("id").to_pylist()
        return found

    assert left([0, 12, None], pa.int32(), "0") == [12, None]
    assert left([12.0, None, 12.5], pa.float64(), "12") == [None, 12.5]
    assert left([Decimal("12.00"), Decimal("12.50")], pa.decimal128(38, 2), "12") == [Decimal("12.50")]
    assert left(["12", "", "Zoë", "x" * 512], pa.large_string(), "x" * 512) == ["12", "", "Zoë"]
    assert left(["12", "", "Zoë"], pa.string(), "Zoë") == ["12", ""]
    assert left([b"anna", b"\xff"], pa.binary(), "anna") == [b"\xff"]
    assert left([True, False], pa.bool_(), "true") == [False]
    assert left(["a", "b", "a"], pa.dictionary(pa.int8(), pa.string()), "a") == ["b"]
    number = b"\x12" * 16
    assert left([number, None], pa.uuid(), "12121212-1212-1212-1212-121212121212") == [None]


def test_a_row_whose_subject_cannot_be_told_stays_and_is_reported() -> None:
    content = stored(pa.table({"id": pa.array([b"a", b"\xff", b"b"])}), row_group_size=1)
    left, edits = edited(content, "id", "b")
    assert loaded(left).column("id").to_pylist() == [b"a", b"\xff"]
    assert edits.done.unparsed == [{"row": 2, "reason": "not UTF-8"}]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("mail", "file without the subject's column"),
        ("buyer", "subject field is not a single value"),
        ("no.email", "parent of the subject field is not an object"),
        ("buyer[].email", "list of the subject field is not a list"),
    ],
)
def test_a_file_with_another_schema_is_reported(subject: str, reason: str) -> None:
    content = stored(table({"no": 1, "buyer": buyer(ANNA)}))
    left, edits = edited(content, subject, ANNA)
    assert left == content
    assert (edits.done.unparsed, edits.done.unparsed_count) == ([{"reason": reason}], 1)


def test_a_list_of_values_loses_the_element() -> None:
    content = stored(pa.table({"to": [["a", "b", "a"], None, ["c"], ["a"], [None, "b"]]}))
    left, edits = edited(content, "to[]", "a", elements=True)
    assert loaded(left).column("to").to_pylist() == [["b"], None, ["c"], [], [None, "b"]]
    assert (edits.done.rows_changed, edits.done.erased) == (2, {"a"})
    nested = stored(pa.table({"g": [[{"m": [{"id": 1}, {"id": 2}]}, {"m": None}], [{"m": [{"id": 3}]}]]}))
    left, _ = edited(nested, "g[].m[].id", "2", elements=True)
    assert loaded(left).column("g").to_pylist() == [
        [{"m": [{"id": 1}]}, {"m": None}],
        [{"m": [{"id": 3}]}],
    ]


def test_an_emptied_row_group_is_left_out_and_an_emptied_file_keeps_its_schema() -> None:
    rows = [{"no": n, "buyer": buyer(who)} for n, who in enumerate([BOB, BOB, ANNA, ANNA, BOB])]
    content = stored(table(*rows), row_group_size=2)
    left, _ = edited(content, "buyer.email", ANNA)
    groups = opened(left).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [2, 1]
    left, _ = edited(content, "buyer.email", ANNA, BOB)
    assert opened(left).metadata.num_row_groups == 0
    assert loaded(left).equals(table(), check_metadata=True)


def test_the_way_of_storing_stays_column_by_column() -> None:
    rows = 5000
    names = ["snappy", "gzip", "zstd", "brotli", "none", "lz4"]
    content = stored(
        pa.table(
            {"id": pa.array(range(rows))} | {name: [str(n % 50) for n in range(rows)] for name in names}
        ),
        row_group_size=1000,
        compression={**{name: name for name in names}, "id": "gzip"},
        use_dictionary=["snappy", "gzip"],
        column_encoding={"id": "DELTA_BINARY_PACKED", "zstd": "DELTA_BYTE_ARRAY"},
        write_statistics=["id", "snappy"],
        data_page_version="2.0",
        write_page_index=True,
        write_page_checksum=True,
        bloom_filter_options={"snappy": {"ndv": 100}},
        sorting_columns=[pq.SortingColumn(0)],
    )
    left, _ = edited(content, "id", "1700", "1701")
    before, after = opened(content).metadata, opened(left).metadata
    assert loaded(left).column("id").to_pylist() == [n for n in range(rows) if n not in (1700, 1701)]
    assert (before.schema, before.metadata, before.created_by) == (
        after.schema,
        after.metadata,
        after.created_by,
    )
    assert before.format_version == after.format_version
    for group in range(5):
        assert after.row_group(group).num_rows == (998 if group == 1 else 1000)
        assert after.row_group(group).sorting_columns == before.row_group(group).sorting_columns
        for column in range(before.num_columns):
            old, new = (m.row_group(group).column(column) for m in (before, after))
            for what in (
                *("compression", "encodings", "has_dictionary_page", "is_stats_set", "path_in_schema"),
                *("has_offset_index", "has_column_index"),
            ):
                assert getattr(old, what) == getattr(new, what), (what, old.path_in_schema)
            assert (old.bloom_filter_offset is None) == (new.bloom_filter_offset is None)
    made = ParquetSource(io.BytesIO(left))
    for chunk in (each for chunks in made.chunks for each in chunks):
        start, length = (chunk.described[number][1] for number in (OFFSET_INDEX, OFFSET_INDEX_BYTES))
        index, _ = thrift.read(made.raw(start, start + length))
        places = [page[PAGE_OFFSET][1] for page in list_of(index, PAGES)]
        assert places[0] == chunk.meta[DATA_PAGE][1]
        assert all(made.header_at(place)[0][1] == (thrift.I32, 3) for place in places)
    reader = pq.ParquetFile(io.BytesIO(left), page_checksum_verification=True)
    assert reader.read().num_rows == rows - 2
    assert loaded(left).filter(pa.compute.field("snappy") == "7").num_rows == rows // 50


def test_a_dropped_rows_value_is_in_no_dictionary_and_no_statistic() -> None:
    values = pa.array(["zz-secret", "b", "zz-secret"]).dictionary_encode()
    content = stored(pa.table({"id": [1, 2, 1], "what": values}), compression="none")
    assert b"zz-secret" in content
    left, _ = edited(content, "id", "1")
    assert b"zz-secret" not in left
    assert loaded(left).schema == loaded(content).schema


def test_old_timestamps_stay_int96_whatever_their_year() -> None:
    for unit, value in (("ns", 1_234_567_890_123_456_789), ("us", 253_402_214_400_000_000)):
        moments = pa.array([value, None, value], pa.timestamp(unit))
        content = stored(
            pa.table({"id": [1, 2, 3], "at": moments}),
            use_deprecated_int96_timestamps=True,
            store_schema=False,
        )
        left, _ = edited(content, "id", "1")
        assert opened(left).schema.column(1).physical_type == "INT96"
        read = pq.read_table(io.BytesIO(left), coerce_int96_timestamp_unit=unit)
        assert read.column("at").cast(pa.int64()).to_pylist() == [None, value]


def test_decimals_stay_integers() -> None:
    amounts = pa.array([Decimal("1.25"), Decimal("-2.50")], pa.decimal128(9, 2))
    content = stored(pa.table({"id": [1, 2], "a": amounts}), store_decimal_as_integer=True)
    left, _ = edited(content, "id", "1")
    assert opened(left).schema.equals(opened(content).schema)
    assert loaded(left).column("a").to_pylist() == [Decimal("-2.50")]


KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.uint8(), st.integers(0, 255)),
    "half": (pa.float16(), st.floats(width=16, allow_nan=False)),
    "float": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "double": (pa.float64(), st.floats(allow_nan=False)),
    "text": (pa.string(), st.text(max_size=20)),
    "large": (pa.large_string(), st.text(max_size=5)),
    "bytes": (pa.binary(), st.binary(max_size=20)),
    "fixed": (pa.binary(3), st.binary(min_size=3, max_size=3)),
    "flag": (pa.bool_(), st.booleans()),
    "day": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("us", "Europe/Berlin"), st.integers(0, 2**50)),
    "time": (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    "span": (pa.duration("ms"), st.integers(-(2**40), 2**40)),
    "money": (pa.decimal128(20, 3), st.decimals(-(10**6), 10**6, places=3)),
    "kind": (pa.dictionary(pa.int16(), pa.string()), st.sampled_from(["x", "y", "z"])),
    "numbers": (pa.list_(pa.int32()), st.lists(st.none() | st.integers(-5, 5), max_size=3)),
    "pairs": (
        pa.map_(pa.string(), pa.int32()),
        st.lists(st.tuples(st.text(max_size=2), st.none() | st.integers(0, 9)), max_size=2),
    ),
    "deep": (
        pa.struct([("a", pa.list_(pa.struct([("b", pa.string()), ("c", pa.int8())])))]),
        st.fixed_dictionaries(
            {
                "a": st.none()
                | st.lists(st.none() | st.fixed_dictionaries({"b": st.text(max_size=3)}), max_size=2)
            }
        ),
    ),
    "nothing": (pa.null(), st.none()),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 12))
    who = draw(st.lists(st.none() | st.sampled_from(["a", "b", "c"]), min_size=rows, max_size=rows))
    columns = {"who": pa.array(who, pa.string())}
    for name in draw(st.lists(st.sampled_from(sorted(KINDS)), unique=True, max_size=5)):
        kind, values = KINDS[name]
        drawn = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[name] = pa.array(drawn, kind)
    return pa.table(columns)


def undictionaried(content: pa.Table) -> pa.Table:
    """Without dictionaries, which may differ where the values do not."""
    types = (field.type for field in content.schema)
    plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in types]
    return content.cast(pa.schema(zip(content.schema.names, plain, strict=True)))


@examples(60)
@given(
    content=tables(),
    group=st.integers(1, 6),
    codec=st.sampled_from(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
    dictionary=st.booleans(),
    page=st.sampled_from(["1.0", "2.0"]),
    index=st.booleans(),
    gone=st.sets(st.sampled_from(["a", "b", "c"])),
    new=st.none() | st.text(max_size=4),
)
def test_whatever_the_table_only_what_was_asked_for_differs(
    content: pa.Table,
    group: int,
    codec: str,
    dictionary: bool,
    page: str,
    index: bool,
    gone: set[str],
    new: str | None,
) -> None:
    written = stored(
        content,
        row_group_size=group,
        compression=codec,
        use_dictionary=dictionary,
        data_page_version=page,
        write_page_index=index,
    )
    before = loaded(written)
    left, edits = edited(written, "who", *gone, changes={"c": [{"text": new}]})
    rows = [row for row, who in enumerate(before.column("who").to_pylist()) if who not in gone]
    expected = before.take(pa.array(rows, pa.int64()))
    if "text" in before.column_names:
        who, texts = (expected.column(name).to_pylist() for name in ("who", "text"))
        texts = [new if w == "c" else text for w, text in zip(who, texts, strict=True)]
        place = before.column_names.index("text")
        expected = expected.set_column(place, before.schema.field(place), pa.array(texts, pa.string()))
    after = loaded(left)
    assert after.schema.equals(expected.schema, check_metadata=True)
    assert undictionaried(after).equals(undictionaried(expected))
    assert edits.done.rows_dropped == len(before) - len(rows)
    assert opened(left).schema.equals(opened(written).schema)
    opened(left).read()
