"""Values on their way to the engine and back."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from local.deploy.creator import DeploymentError, Folder
from local.emulator.emulator import ROOT
from local.provider import values

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer()),
    st.text().filter(lambda text: text != rpc.UNKNOWN),
    st.builds(Folder, st.just(ROOT / "build"), st.text("0123456789abcdef", min_size=1)),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)


@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_what_goes_to_the_engine_comes_back_as_it_was(properties: dict[str, Any]) -> None:
    again = values.read(values.write(properties))
    assert again == properties
    assert json.dumps(again, sort_keys=True, default=repr) == json.dumps(
        properties, sort_keys=True, default=repr
    ), "whole numbers stay whole"


def test_what_is_not_known_yet_is_no_text() -> None:
    read = values.read(values.write({"a": pulumi.output.UNKNOWN, "b": [rpc.UNKNOWN]}))
    assert isinstance(read["a"], pulumi.output.Unknown)
    assert isinstance(read["b"][0], pulumi.output.Unknown)


def test_a_property_without_a_value_is_left_out() -> None:
    assert values.read(values.write({"a": None, "b": 1})) == {"b": 1}


def test_of_an_earlier_folder_only_the_digest_is_known() -> None:
    written = values.write({"code": Folder(Path(), "abc")})
    assert "path" not in written.fields["code"].struct_value.fields
    assert values.read(written) == {"code": Folder(Path(), "abc")}


@pytest.mark.parametrize(
    "signature", [rpc._special_asset_sig, rpc._special_resource_sig, rpc._special_secret_sig]
)
def test_what_no_creator_takes_is_refused(signature: str) -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": {rpc._special_sig_key: signature, "value": "x"}})
    with pytest.raises(DeploymentError, match="only archives of a folder"):
        values.read(struct)


def test_what_the_protocol_has_no_form_of_is_refused() -> None:
    with pytest.raises(TypeError, match="no set"):
        values.write({"a": {1, 2}})
