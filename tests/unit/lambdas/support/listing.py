"""Lists versions in pages, as S3 does: it goes on after a marker, also where what that names is deleted."""

import threading
from dataclasses import dataclass, field
from typing import Any

from botocore.client import BaseClient

_AWS = BaseClient._make_api_call
_EVERYTHING = 1_000_000


@dataclass
class Pages:
    """Answers for S3 with pages of so many versions; one call at a time, as moto stands no other way."""

    size: int
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        with self._mutex:
            return self._answer(client, operation, parameters)

    def _answer(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
        if operation != "ListObjectVersions":
            return _AWS(client, operation, parameters)
        asked = {name: parameters[name] for name in ("Bucket", "Prefix") if name in parameters}
        answer = _AWS(client, operation, {**asked, "MaxKeys": _EVERYTHING})
        found = [(kind, each) for kind in ("Versions", "DeleteMarkers") for each in answer.get(kind, [])]
        for _, each in found:
            self._places.setdefault((each["Key"], each["VersionId"]), len(self._places))
        found.sort(key=lambda pair: self._place(pair[1]))
        if "KeyMarker" in parameters:
            marker = {"Key": parameters["KeyMarker"], "VersionId": parameters["VersionIdMarker"]}
            found = [pair for pair in found if self._place(pair[1]) > self._place(marker)]
        page = found[: self.size]
        listed = {kind: [each for other, each in page if other == kind] for kind, _ in page}
        if len(found) <= self.size:
            return {"IsTruncated": False, **listed}
        last = page[-1][1]
        markers = {"NextKeyMarker": last["Key"], "NextVersionIdMarker": last["VersionId"]}
        return {"IsTruncated": True, **markers, **listed}

    def _place(self, version: dict[str, Any]) -> tuple[str, int]:
        return version["Key"], self._places[version["Key"], version["VersionId"]]
