"""Values of the engine's protocol and of the creators, from one to the other.

The protocol is JSON with signatures: a map with `rpc._special_sig_key` is a secret, an archive or the like
(Pulumi's developer documentation, "Property values"). Secrets do not occur here: the plugin does not accept
them, so the engine keeps track of what is secret.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.output import Unknown
from pulumi.runtime import rpc

from local.deploy.creator import DeploymentError, Folder
from local.emulator.emulator import ROOT

_SIGNATURE = rpc._special_sig_key
_ARCHIVE = rpc._special_archive_sig


def read(properties: struct_pb2.Struct) -> dict[str, Any]:
    """The properties as creators take them: integers whole, folders as Folder, unknown ones as UNKNOWN.

    Properties that are null are left out, as the program that runs within this process leaves them out.

    Raises DeploymentError for a value of a kind that no creator takes.
    """
    return {
        key: _read(value)
        for key, value in properties.fields.items()
        if value.WhichOneof("kind") != "null_value"
    }


def write(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The same properties for the engine.

    Raises TypeError for what the protocol has no form of.
    """
    return struct_pb2.Struct(fields={key: _write(value) for key, value in properties.items()})


def _read(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return pulumi.output.UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_read(inner) for inner in value.list_value.values]
    if kind == "struct_value":
        return _read_map({key: _read(inner) for key, inner in value.struct_value.fields.items()})
    return None


def _read_map(value: dict[str, Any]) -> Any:
    if _SIGNATURE not in value:
        return value
    if value[_SIGNATURE] != _ARCHIVE or "hash" not in value:
        raise DeploymentError(
            "only archives of a folder are known here, no assets or references to resources"
        )
    # Of what it deployed before, the engine knows only the digest.
    path = (ROOT / value["path"]).resolve() if "path" in value else Path()
    return Folder(path, value["hash"])


def _write(value: Any) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, Unknown):
        return struct_pb2.Value(string_value=rpc.UNKNOWN)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str | Path):
        return struct_pb2.Value(string_value=str(value))
    if isinstance(value, Folder):
        place = {"path": value.path} if value.path != Path() else {}
        return _write({_SIGNATURE: _ARCHIVE, "hash": value.digest, **place})
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=write(value))
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_write(inner) for inner in value]))
    raise TypeError(f"the engine's protocol has no {type(value).__name__}")
