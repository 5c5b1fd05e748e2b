"""The README's costs are the computed ones."""

import pytest

from benchmarks.costs import capacity, costs


def test_the_readme_has_the_computed_table() -> None:
    found = costs.README.read_text(encoding="utf-8")
    assert costs.table() in found, "The calls have changed: make costs"


def test_a_touched_file_is_one_read_one_write_and_two_listings() -> None:
    _, a_file = costs.erasing()
    assert a_file.units["S3 reads"] == 1
    assert a_file.units["S3 writes and listings"] == 3


@pytest.mark.parametrize(
    ("before", "after", "transaction", "units"),
    [
        (None, {"pk": {"S": "a" * 1022}}, False, 1),
        (None, {"pk": {"S": "a" * 1023}}, False, 2),
        ({"pk": {"S": "a" * 2000}}, {"pk": {"S": "a"}}, False, 2),
        ({"pk": {"S": "a"}}, None, True, 2),
        (None, None, False, 1),
        (None, {"object": {"S": "a"}}, False, 2),
        ({"object": {"S": "a"}}, {"object": {"S": "a"}}, False, 1),
        ({"object": {"S": "a"}}, None, False, 2),
    ],
)
def test_write_units_are_whole_kib_of_the_larger_item(
    before: capacity.Item | None, after: capacity.Item | None, transaction: bool, units: int
) -> None:
    assert capacity.written(before, after, transaction=transaction) == units


def test_a_query_rounds_once_and_reads_by_key_each() -> None:
    item = {"pk": {"S": "a" * 2000}}
    assert capacity.queried([item, item], consistent=True) == 1
    assert capacity.queried([], consistent=False) == 0.5
    assert capacity.read([item, item], asked=3) == 3


def test_numbers_lists_and_bytes_have_their_sizes() -> None:
    assert capacity.item_size({"n": {"N": "1234"}}) == 4
    assert capacity.item_size({"n": {"B": b"123"}}) == 4
    assert capacity.item_size({"n": {"L": [{"S": "ab"}, {"S": "c"}]}}) == 9
    assert capacity.item_size({"n": {"M": {"a": {"S": "bc"}}}}) == 8
