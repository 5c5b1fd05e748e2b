"""Footers about a part of a file: one field of its schema, or one column of parquet alone.

With them Arrow reads that part as it reads the whole file, by the same schema and the same `created_by`.
"""

from typing import Final

from privacy.parquet.source import CREATED_BY, KEY_VALUES, SCHEMA, ParquetSource, list_of
from privacy.parquet.thrift import I32, LIST, STRUCT, List, Struct

# SchemaElement
_REPETITION: Final = 3
_NAME: Final = 4
_CHILDREN: Final = 5
_ANNOTATIONS: Final = (6, 7, 8, 10)  # converted type, its scale and precision, logical type

_REPEATED: Final = 2


def field_footer(source: ParquetSource, field: int, made: Struct) -> Struct:
    """Return the footer `made` of a file with one field alone, as if it were of the source."""
    elements = list_of(source.footer, SCHEMA)
    place = 1
    for _ in range(field):
        place = _behind(elements, place)
    return _footer(source, made, [_parent(elements[0]), *elements[place : _behind(elements, place)]])


def leaf_footer(source: ParquetSource, leaf: int, made: Struct) -> Struct:
    """Return the footer `made` of a file with one of the source's columns alone.

    What says that a group is a list or a map is left out, so that it can be read with any of its columns.
    """
    elements = list_of(source.footer, SCHEMA)
    groups = [_parent(each) for each in _path(elements, leaf)[:-1]]
    return _footer(source, made, [*groups, _path(elements, leaf)[-1]])


def bare_footer(source: ParquetSource) -> Struct:
    """Return the source's footer without what the schema says its columns' plain values stand for."""
    elements = [
        each if each.get(_CHILDREN, (I32, 0))[1] else _without_annotations(each)
        for each in list_of(source.footer, SCHEMA)
    ]
    footer = {number: value for number, value in source.footer.items() if number != KEY_VALUES}
    return {**footer, SCHEMA: (LIST, List(STRUCT, elements))}


def is_repeated(source: ParquetSource, leaf: int) -> bool:
    """Return whether a column may have several values a row, or none."""
    path = _path(list_of(source.footer, SCHEMA), leaf)
    return any(each.get(_REPETITION, (I32, 0))[1] == _REPEATED for each in path[1:])


def name_of(source: ParquetSource, leaf: int) -> str:
    """Return a column's name as Arrow spells it: the names on the way to it, with dots."""
    path = _path(list_of(source.footer, SCHEMA), leaf)
    return ".".join(each[_NAME][1].decode() for each in path[1:])


def required(footer: Struct) -> Struct:
    """Return a footer of one column with a value in every row, in place of one that may be null."""
    (root, *_, leaf) = list_of(footer, SCHEMA)
    return {**footer, SCHEMA: (LIST, List(STRUCT, [root, {**leaf, _REPETITION: (I32, 0)}]))}


def _footer(source: ParquetSource, made: Struct, elements: list[Struct]) -> Struct:
    footer = {number: value for number, value in made.items() if number not in {KEY_VALUES, CREATED_BY}}
    if CREATED_BY in source.footer:
        footer[CREATED_BY] = source.footer[CREATED_BY]
    return {**footer, SCHEMA: (LIST, List(STRUCT, elements))}


def _parent(element: Struct) -> Struct:
    """Return a group with one child, and without what says that it is a list or a map."""
    return {**_without_annotations(element), _CHILDREN: (I32, 1)}


def _without_annotations(element: Struct) -> Struct:
    return {number: value for number, value in element.items() if number not in _ANNOTATIONS}


def _behind(elements: list[Struct], place: int) -> int:
    """Return where the element at this place ends, with everything below it."""
    left = 1
    while left:
        left += elements[place].get(_CHILDREN, (I32, 0))[1] - 1
        place += 1
    return place


def _path(elements: list[Struct], leaf: int) -> list[Struct]:
    """Return the elements from the root to a column."""
    path: list[tuple[Struct, int]] = []  # each with how many children are still to come
    before = 0
    for element in elements:
        children = element.get(_CHILDREN, (I32, 0))[1]
        if children:
            path.append((element, children))
            continue
        if before == leaf and path:
            return [*(each for each, _ in path), element]
        before += 1
        while path and path[-1][1] == 1:
            path.pop()
        if path:
            path[-1] = path[-1][0], path[-1][1] - 1
    raise IndexError
