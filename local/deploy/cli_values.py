"""YAML as the Pulumi CLI reads it: Go's yaml.v3 says what a plain scalar is, Go's JSON how it is written.

Python's YAML and Go's disagree about dates, `yes`, `012`, `1e3` and more. What a program gets as its config
follows from Go's rules, so they are carried out here (yaml.v3, resolve.go; checked against CLI 3.274).
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import yaml

_NULL: Final = {"", "~", "null", "Null", "NULL"}
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOT_FINITE: Final = {f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INTEGER: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MOMENT: Final = re.compile(
    r"(?P<day>\d{4}-\d{1,2}-\d{1,2})"
    r"((?P<letter>[Tt ])(?P<clock>\d{1,2}:\d{1,2}:\d{1,2})(?P<part>\.\d{1,9}\d*)?(?P<zone>Z|[-+]\d\d:\d\d)?)?"
)
_TAG: Final = "tag:yaml.org,2002:"
_SMALLEST, _LARGEST, _LARGEST_UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1


class UnreadableError(Exception):
    """The CLI would refuse the file; the text says where and why."""


class _Scalar(yaml.ScalarNode):
    """A scalar; `tagged` where a tag such as !!str stands before it, and says of which type it is."""

    def __init__(self, node: yaml.ScalarNode, *, tagged: bool) -> None:
        super().__init__(node.tag, node.value, node.start_mark, node.end_mark, style=node.style)
        self.tagged = tagged


class _Composer(yaml.SafeLoader):
    """Makes nodes and resolves no plain scalar: that is done by Go's rules."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- as PyYAML has it

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Make the node of a scalar, and note whether the file itself says of which type it is."""
        tagged = self.peek_event().tag not in (None, "!")  # type: ignore[no-untyped-call]  # PyYAML's own
        node = _Scalar(super().compose_scalar_node(anchor), tagged=tagged)
        if anchor is not None:
            self.anchors[anchor] = node
        return node


def load(text: str) -> Any:
    """Return the first document of a text as plain values. Raises UnreadableError, and yaml.YAMLError."""
    composer = _Composer(text)
    try:
        node = composer.get_node() if composer.check_node() else None
    finally:
        composer.dispose()
    return None if node is None else _value(node, ())


def as_text(value: Any) -> str:
    """Return a value of the config as the program gets it: a text as it is, all else as Go's JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else as_json(value)


def as_json(value: Any) -> str:
    """Return a value as Go writes JSON: keys in order, no blanks, `<`, `>` and `&` escaped."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{as_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, float):
        return _go_float(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        quoted = quoted.replace(character, f"\\u{ord(character):04x}")
    return quoted


def _go_float(value: float) -> str:
    """Return a number as Go's encoding/json does: with an exponent below 1e-6 and from 1e21 on."""
    if value == 0:
        return "0"
    digits, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = digits.partition(".")
    part = "" if part == "0" else part
    power = int(exponent or 0)
    sign = "-" if value < 0 else ""
    if 1e-6 <= abs(value) < 1e21:
        figures, point = whole + part, len(whole) + power
        if point >= len(figures):
            return sign + figures.lstrip("0") + "0" * (point - len(figures))
        if point <= 0:
            return f"{sign}0.{'0' * -point}{figures}"
        return f"{sign}{figures[:point].lstrip('0') or '0'}.{figures[point:]}"
    figures = (whole + part).lstrip("0")
    power += len(whole) - 1 if whole != "0" else -(len(part) - len(part.lstrip("0")) + 1)
    mantissa = figures[0] + (f".{figures[1:].rstrip('0')}" if figures[1:].rstrip("0") else "")
    return f"{sign}{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def _value(node: yaml.Node, inside: tuple[int, ...]) -> Any:
    if id(node) in inside:
        raise UnreadableError(f"line {node.start_mark.line + 1}: an anchor's value contains itself")
    within = (*inside, id(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, within)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, within) for each in node.value]
    assert isinstance(node, _Scalar)
    return _scalar(node)


def _mapping(node: yaml.MappingNode, inside: tuple[int, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    merged: list[yaml.Node] = []
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == f"{_TAG}str" and key_node.value == "<<" and key_node.style is None:
            if merged:
                raise UnreadableError(f"line {line}: << is given twice; give it a list")
            merged.extend(_merged(value_node, line))
            continue
        key = _value(key_node, inside)
        if not isinstance(key, Hashable):
            raise UnreadableError(f"line {line}: a key has to be a text")
        name = _key_text(key)
        if name in lines:
            raise UnreadableError(
                f"line {line}: {name} is already given in line {lines[name]}; keep one of them"
            )
        lines[name] = line
        values[name] = _value(value_node, inside)
    for other in merged:
        values = {**_value(other, inside), **values}
    return values


def _merged(node: yaml.Node, line: int) -> list[yaml.Node]:
    """What `<<` takes in: a mapping, or a list of mappings."""
    nodes = list(node.value) if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.MappingNode) for each in nodes):
        raise UnreadableError(f"line {line}: << takes a mapping, or a list of mappings")
    return nodes


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    return "<nil>" if key is None else as_json(key)


def _scalar(node: _Scalar) -> Any:
    text, tag, tagged = str(node.value), node.tag.removeprefix(_TAG), node.tagged
    if tag == "binary":
        try:
            return base64.b64decode(text, validate=False).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise UnreadableError(f"line {node.start_mark.line + 1}: not base64 of a text") from None
    if tagged and tag != "str":
        raise UnreadableError(f"line {node.start_mark.line + 1}: leave the tag {node.tag} out")
    return text if tagged or node.style is not None else _resolved(text, node)


def _resolved(text: str, node: yaml.Node) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NOT_FINITE:
        line = node.start_mark.line + 1
        raise UnreadableError(f"line {line}: {text} is no number that JSON has; quote it if it is a text")
    if text[0] in "0123456789" and (moment := _moment(text)) is not None:
        return moment
    if text[0] in "+-.0123456789":
        number = _number(text)
        return text if number is None else number
    return text


def _number(text: str) -> int | float | None:
    plain = text.replace("_", "") if text[0] != "." else text
    if _INTEGER.fullmatch(plain):
        digits = plain.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567"
        number = int(digits, 8) if octal else int(digits, 0)
        number = -number if plain[0] == "-" else number
        if _SMALLEST <= number <= _LARGEST_UNSIGNED:
            return number
    if _FLOAT.fullmatch(plain):
        decimal = float(plain)
        return decimal if math.isfinite(decimal) else None
    return None


def _moment(text: str) -> str | None:
    """Return a timestamp as Go's `Time.String` prints it, or None where the text is none."""
    found = _MOMENT.fullmatch(text)
    if found is None or (found["zone"] and found["letter"] == " "):
        return None
    if found["letter"] in ("T", "t") and not found["zone"]:
        return None
    try:
        year, month, day = map(int, found["day"].split("-"))
        hour, minute, second = map(int, (found["clock"] or "0:0:0").split(":"))
        moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(found["zone"]))
    except ValueError:
        return None
    part = (found["part"] or "").rstrip("0").rstrip(".")[:10]
    offset = moment.strftime("%z")
    name = "UTC" if offset == "+0000" else offset
    return f"{moment:%Y-%m-%d %H:%M:%S}{part} {offset} {name}"


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))
