"""Config as the Pulumi CLI hands it to a program: each row is what CLI 3.274 did with the text."""

import json

import pytest
import yaml

from local.deploy.cli_values import UnreadableError, as_text, load

SCALARS = [
    ("2026-01-01", "2026-01-01 00:00:00 +0000 UTC"),
    ("2026-1-1", "2026-01-01 00:00:00 +0000 UTC"),
    ('"2026-01-01"', "2026-01-01"),
    ("'2026-01-01'", "2026-01-01"),
    ("!!str 2026-01-01", "2026-01-01"),
    ("2026-02-30", "2026-02-30"),
    ("2026-01-01T10:11:12Z", "2026-01-01 10:11:12 +0000 UTC"),
    ("2026-01-01t10:00:00+02:00", "2026-01-01 10:00:00 +0200 +0200"),
    ("2026-01-01 10:00:00.5", "2026-01-01 10:00:00.5 +0000 UTC"),
    ("yes", "yes"),
    ("No", "No"),
    ("on", "on"),
    ("y", "y"),
    ("true", "true"),
    ("TRUE", "true"),
    ("False", "false"),
    ("~", ""),
    ("null", ""),
    ("", ""),
    ('""', ""),
    ("012", "10"),
    ("-012", "-10"),
    ("0o12", "10"),
    ("09", "9"),
    ("0x1F", "31"),
    ("-0x1", "-1"),
    ("0b101", "5"),
    ("-0b11", "-3"),
    ("0xZZ", "0xZZ"),
    ("1_000", "1000"),
    ("1_0.5", "10.5"),
    ("+5", "5"),
    ("-0", "0"),
    ("42", "42"),
    ("9007199254740993", "9007199254740993"),
    ("18446744073709551615", "18446744073709551615"),
    ("12345678901234567890123", "1.2345678901234568e+22"),
    ("1e3", "1000"),
    ("1e6", "1000000"),
    ("1e20", "100000000000000000000"),
    ("1e+23", "1e+23"),
    ("100000000000000000000000", "1e+23"),
    ("1e-7", "1e-7"),
    ("1e400", "1e400"),
    (".5", "0.5"),
    (".e3", ".e3"),
    ("1.", "1"),
    ("1.0", "1"),
    ("1.50", "1.5"),
    ("+1.5", "1.5"),
    ("123456789.5", "123456789.5"),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("!!binary aGVsbG8=", "hello"),
    ("'it''s'", "it's"),
    ("[]", "[]"),
    ("{}", "{}"),
    ("[a, b]", '["a","b"]'),
    ("{<<: {x: 1}, y: 2}", '{"x":1,"y":2}'),
    ("{<<: [{x: 1, y: 1}, {x: 2, z: 3}], y: 9}", '{"x":1,"y":9,"z":3}'),
    ("{<<: [], y: 2}", '{"y":2}'),
]


@pytest.mark.parametrize(("written", "handed"), SCALARS)
def test_a_value_is_handed_over_as_the_cli_does(written: str, handed: str) -> None:
    assert as_text(load(f"key: {written}\n")["key"]) == handed


def test_structures_are_handed_over_as_gos_json() -> None:
    nested = """
    a: 2026-01-01
    b: yes
    c: 012
    d: 1e3
    e: ~
    f: [1, 2.0, "x", 2026-01-01, true, on, 1.5, 1e21, 1e20, 123456789012345678901,
        9007199254740993, -0.0, 1e-7]
    g: {1: a, true: b, 1.5: c, ~: d}
    ü: "ü<>&é"
    """
    assert as_text(load(nested)) == (
        '{"a":"2026-01-01 00:00:00 +0000 UTC","b":"yes","c":10,"d":1000,"e":null,"f":[1,2,"x",'
        '"2026-01-01 00:00:00 +0000 UTC",true,"on",1.5,1e+21,100000000000000000000,123456789012345680000,'
        '9007199254740993,0,1e-7],"g":{"1":"a","1.5":"c","\\u003cnil\\u003e":"d","true":"b"},'
        '"ü":"ü\\u003c\\u003e\\u0026é"}'
    )
    times = "[2026-01-01T10:00:00+02:00, 2026-1-1, 2026-01-01 10:00:00, '2026-01-01']"
    assert json.loads(as_text(load(times))) == [
        "2026-01-01 10:00:00 +0200 +0200",
        "2026-01-01 00:00:00 +0000 UTC",
        "2026-01-01 10:00:00 +0000 UTC",
        "2026-01-01",
    ]


def test_an_anchor_stands_for_its_value_and_later_documents_are_passed_over() -> None:
    assert load("a: &x {n: 1}\nb: *x\n---\na: 2\n") == {"a": {"n": 1}, "b": {"n": 1}}
    assert load("a: &x 012\nb: *x\nc: &y '012'\nd: *y\n") == {"a": 10, "b": 10, "c": "012", "d": "012"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2\n", "line 2: a is already given in line 1"),
        ("a:\n  x: 1\n  y: 2\n  x: 3\n", "line 4: x is already given in line 2"),
        ("a: &x [*x]\n", "an anchor's value contains itself"),
        ("a:\n  <<: 5\n", "line 2: << takes a mapping, or a list of mappings"),
        ("a:\n  <<:\n  b: 1\n", "line 2: << takes a mapping, or a list of mappings"),
        ("a: {<<: [{b: 1}, 5]}\n", "line 1: << takes a mapping, or a list of mappings"),
        ("a:\n  <<: {b: 1}\n  <<: {c: 1}\n", "line 3: << is given twice"),
        ("a: .inf\n", "no number that JSON has"),
        ("a: -.Inf\n", "no number that JSON has"),
        ("a: .nan\n", "no number that JSON has"),
    ],
)
def test_what_the_cli_refuses_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        load(text)


def test_what_is_no_yaml_is_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        load("config:\n\ta: 1\n")
