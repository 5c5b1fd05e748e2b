"""What a creator of one resource type is, and the strictness that all of them share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.emulator.emulator import ACCOUNT, Emulator
from local.errors import LocalError

Inputs = dict[str, Any]
"""A resource's inputs as the Pulumi engine would see them: camelCase, outputs resolved."""


class DeploymentError(LocalError):
    """The program asks for something that the deployer does not know, or that the emulator refuses."""


@dataclass(frozen=True, slots=True)
class Aws:
    """One region of the emulator: where a stack's resources go."""

    emulator: Emulator
    region: str
    account: str = ACCOUNT

    def client(self, service: str) -> Any:
        """A boto3 client of this region (typed Any: botocore checks the parameters itself)."""
        return self.emulator.client(service, self.region)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Made:
    """A created resource: its id, and the outputs that come on top of its inputs."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the program hands over as an archive.

    Attributes:
        path: where it is; it need not exist.
        digest: SHA-256 over the names and contents of its files, in hexadecimal.
    """

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Existing:
    """A resource as an earlier deployment left it: name in the program, id, inputs, what `create` gave back.

    In the inputs a folder is its digest.
    """

    name: str
    id: str
    inputs: Inputs
    outputs: Mapping[str, Any]

    @property
    def unchanged(self) -> Made:
        """What an update returns that changes neither id nor outputs."""
        return Made(self.id, self.outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Creator:
    """How one resource type is created, changed and deleted.

    Attributes:
        token: Pulumi's type token.
        create: makes it; gets the region, the resource's name in the program and its inputs.
        read: looks what AWS has of it now, and changes nothing: the resource as it is to be recorded, or None
            where it is gone. What AWS still answers for is gone where the provider's own read says so.
            Raises every error that does not say that it is gone.
        properties: the properties that are carried out.
        without_effect: further properties that are accepted, each with the reason why nothing here
            would act on it.
        update: changes one that is there to new inputs; None for a type that cannot be changed in place.
        updatable: the properties that `update` carries out, or that need no call when they change.
        replacing: properties that cannot be changed in place, where Pulumi makes a new resource first and
            deletes the old one at the end. Of a type whose physical name is in its inputs, only those that
            make up the name.
        delete: deletes it, also when it is gone already; None for a type that cannot be deleted here.
    """

    token: str
    create: Callable[[Aws, str, Inputs], Made]
    read: Callable[[Aws, Existing], Existing | None]
    properties: frozenset[str]
    without_effect: Mapping[str, str] = field(default_factory=dict)
    update: Callable[[Aws, Existing, Inputs], Made] | None = None
    updatable: frozenset[str] = frozenset()
    replacing: frozenset[str] = frozenset()
    delete: Callable[[Aws, Existing], None] | None = None

    def check(self, aws: Aws, name: str, inputs: Inputs) -> None:
        """Check the inputs before anything is called.

        Raises DeploymentError naming type, resource and property for a property it does not know, and
        for another region than the stack's.
        """
        for key, value in inputs.items():
            if key == "region":
                if value != aws.region:
                    raise DeploymentError(
                        f"{self.token} {name!r}: region {value!r} is not the stack's region {aws.region!r}"
                    )
            elif key not in self.properties and key not in self.without_effect:
                raise DeploymentError(
                    f"{self.token} {name!r}: property {key!r} is not known to the local deployer; "
                    f"teach it in local/deploy/services (known: {', '.join(sorted(self.properties))})"
                )


def properties(names: str) -> frozenset[str]:
    """The set of the names in a blank-separated string."""
    return frozenset(names.split())


def pascal(value: Any) -> Any:
    """The same structure with `camelCase` keys as boto3's `PascalCase`, at every depth.

    Strict through boto3, which refuses a parameter it does not know. Not for maps whose keys are data
    (tags, environment variables).
    """
    if isinstance(value, Mapping):
        return {key[0].upper() + key[1:]: pascal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [pascal(inner) for inner in value]
    return value


def picked(inputs: Inputs, **names: str) -> dict[str, Any]:
    """The inputs that are set, under boto3's names: `picked(inputs, Name="name", Policy="policy")`."""
    return {theirs: inputs[ours] for theirs, ours in names.items() if inputs.get(ours) is not None}


def tag_list(inputs: Inputs, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """The `tags` input as the list of pairs that most services take."""
    return [{key: name, value: text} for name, text in (inputs.get("tags") or {}).items()]


def known_keys(where: str, value: Mapping[str, Any], names: str) -> None:
    """Raise DeploymentError when a nested structure has a key that is not among the names."""
    unknown = sorted(set(value) - set(names.split()))
    if unknown:
        raise DeploymentError(f"{where}: {', '.join(unknown)} is not known to the local deployer")


def plain(value: Any) -> Any:
    """Inputs as JSON has them; a folder is its digest, so that other contents are another value."""
    if isinstance(value, Folder):
        return {"folder": value.digest}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def again(create: Callable[[Aws, str, Inputs], Made]) -> Callable[[Aws, Existing, Inputs], Made]:
    """The update of a type whose creation overwrites what is there."""
    return lambda aws, existing, inputs: create(aws, existing.name, inputs)


@contextmanager
def gone_is_fine(*codes: str) -> Iterator[None]:
    """Pass over AWS errors with one of these codes: what is to be deleted or read is not there any more."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise


def if_there(existing: Existing, look: Callable[[], object], *gone: str) -> Existing | None:
    """The resource as recorded; None where the look at it finds nothing, or ends with one of these codes.

    Every other AWS error is raised: whoever may not look does not know that a resource is gone.
    """
    with gone_is_fine(*gone):
        return existing if look() else None
    return None


def retag(
    existing: Existing,
    inputs: Inputs,
    *,
    tag: Callable[[dict[str, str]], object],
    untag: Callable[[list[str]], object],
) -> None:
    """Bring a resource's tags from the recorded to the wanted ones; calls only what has something to do."""
    before, after = existing.inputs.get("tags") or {}, inputs.get("tags") or {}
    if gone := sorted(set(before) - set(after)):
        untag(gone)
    if new := {key: value for key, value in after.items() if before.get(key) != value}:
        tag(new)
