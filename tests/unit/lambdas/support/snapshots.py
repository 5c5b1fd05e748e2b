"""Everything that moto has stored: kept, and put back."""

import io
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from moto.core.base_backend import BackendDict, BaseBackend


class _Place(NamedTuple):
    """Where a service's backend for an account and a region is; moto makes it when it is looked for."""

    backends: Any
    account: str
    region: str

    def backend(self) -> Any:  # noqa: ANN401 - of several services
        return self.backends[self.account][self.region]


@dataclass(frozen=True)
class Snapshot:
    """What was stored at one moment, and what was kept with it. `kept` is not copied."""

    content: bytes
    kept: list[Any]


def take(more: object = None) -> Snapshot:
    """Keep everything that is stored, and `more` with it."""
    places = [
        _Place(backends, account, region)
        for backends in BackendDict._instances
        for account, region, _ in backends.iter_backends()
    ]
    out = io.BytesIO()
    pickler = _Pickler(out)
    pickler.kept = [*places]
    pickler.known = {id(place.backend()): number for number, place in enumerate(places)}
    pickler.dump(([place.backend().__dict__ for place in places], more))
    return Snapshot(out.getvalue(), pickler.kept)


def put_back(snapshot: Snapshot) -> Any:  # noqa: ANN401 - what was given to `take`
    """Make what is stored what it was; return a copy of what was kept with it."""
    unpickler = _Unpickler(io.BytesIO(snapshot.content))
    unpickler.kept = snapshot.kept
    states, more = unpickler.load()
    for place, state in zip(snapshot.kept, states, strict=False):  # after the places come keys
        place.backend().__dict__.update(state)
        if place.backends.service_name == "s3":
            partition = place.backend().partition
            # In which account a bucket is that somebody names.
            place.backends.bucket_accounts.update(dict.fromkeys(state["buckets"], (partition, place.account)))
    return more


class _Pickler(pickle.Pickler):
    kept: list[Any]
    known: dict[int, int]

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, (RSAPrivateKey, BaseBackend)):
            return None
        if id(obj) not in self.known:  # a key never changes, and cannot be copied
            self.known[id(obj)] = len(self.kept)
            self.kept.append(obj)
        return self.known[id(obj)]

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        # A copy of moto's own has the newest versions only.
        if hasattr(type(obj), "setlist"):
            return _store, (type(obj), dict(obj.lists()))
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    kept: list[Any]

    def persistent_load(self, pid: int) -> Any:  # noqa: ANN401 - what was kept
        kept = self.kept[pid]
        return kept.backend() if isinstance(kept, _Place) else kept


def _store(kind: type[Any], lists: dict[str, list[Any]]) -> Any:  # noqa: ANN401 - moto's
    store = kind()
    for key, versions in lists.items():
        store.setlist(key, versions)
    return store
