"""What a deployment of the API copies: declared in one way, so that its fingerprint leaves nothing out."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pulumi
from pulumi_aws import apigateway

SCHEMA: Final = {"$schema": "http://json-schema.org/draft-04/schema#", "title": "Nothing", "type": "object"}
"""A model has to have one; no method refers to this."""

_Part = TypeVar("_Part", bound=pulumi.Resource)


@dataclass(frozen=True)
class Named:
    """A value that only AWS knows, or that no deployment copies, with its name for the fingerprint."""

    value: Any
    name: str


class Snapshot:
    """Declares the API and its parts; `fingerprint` changes whenever a deployment would copy something else.

    Inputs are plain values, or `Named`: the fingerprint is taken of names. Were it taken of a part's outputs,
    the deployment would have to go before that part (see `generation`), and a stage holds on to it.
    """

    def __init__(self, name: str, parent: pulumi.Resource) -> None:
        self.made: list[pulumi.Resource] = []
        self._name = name
        self._parent = parent
        self._described: dict[str, Any] = {}

    def declare(
        self,
        kind: Callable[..., _Part],
        name: str,
        /,
        *,
        after: Sequence[pulumi.Resource] = (),
        **inputs: Any,  # noqa: ANN401 -- what the kind takes
    ) -> _Part:
        """Declare `<API>-<name>` with these inputs, once those are made that it comes `after`.

        Raises TypeError for an output that has no name.
        """
        described = json.dumps([kind.__name__, inputs], sort_keys=True, default=_name_of)
        resource = kind(
            f"{self._name}-{name}",
            **{key: _value_of(value) for key, value in inputs.items()},
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=list(after)),
        )
        self._described[name] = described
        self.made.append(resource)
        return resource

    def generation(self, api: apigateway.RestApi, parts: Iterable[str]) -> Named:
        """Return the API's id for those parts that a deployment copies because they are there.

        Pulumi deletes what left the program after all else is done: the deployment made meanwhile would copy
        it. So these parts take the API's id from a model that is replaced whenever there are other `parts`,
        and deleted before that, with everything, removed parts too, that has its id from there. The stage
        serves its last copy in the meantime.
        """
        digest = hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()[:16]
        model = apigateway.Model(
            f"{self._name}-generation",
            name=f"Generation{digest}",
            description="Everything that a deployment copies is deleted before this is, and made after it.",
            rest_api=api.id,
            content_type="application/json",
            schema=json.dumps(SCHEMA),
            opts=pulumi.ResourceOptions(parent=self._parent, delete_before_replace=True),
        )
        return Named(model.rest_api, "api")

    @property
    def fingerprint(self) -> str:
        """Digest of all that was declared, in hexadecimal."""
        return hashlib.sha256(json.dumps(self._described, sort_keys=True).encode()).hexdigest()


def _name_of(value: object) -> object:
    if isinstance(value, Named):
        return {"named": value.name}
    raise TypeError(f"{type(value).__name__} has no name for the fingerprint; give a plain value, or Named")


def _value_of(value: object) -> object:
    if isinstance(value, Named):
        return value.value
    if isinstance(value, Mapping):
        return {key: _value_of(each) for key, each in value.items()}
    return [_value_of(each) for each in value] if isinstance(value, list) else value
