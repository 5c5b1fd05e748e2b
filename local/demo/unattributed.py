"""The demo's chapter about a file that nobody can attribute: it is told, counted, mended, and then over."""

import json
import time
from typing import Protocol

from local.client import PrivacyClient

_KEY = "feedback/from-the-new-form.jsonl"
_PERSON = "zita.unseen@example.org"
_SECONDS = 120


class Teller(Protocol):
    """Tells the story."""

    def chapter(self, title: str) -> None:
        """Begin the next chapter."""

    def check(self, holds: bool, text: str) -> None:
        """Tick a check, or end the demo."""


def nobody_can_tell(story: Teller, api: PrivacyClient) -> None:
    """Send a file with a renamed field, ask for an erasure, mend the file, and ask again."""
    story.chapter("A file in which nobody can tell whose its rows are")
    api.upload("feedback", _KEY, _row("writer"))
    listed = _listed(api, there=True)
    story.check(
        (listed["reason"], listed["part"], listed["lines"]) == ("no-field", "all", 1),
        f"{_KEY} is listed: {listed['detail']}",
    )
    story.check(bool(listed["mend"]), f"and how to mend it: {listed['mend']}")
    for time_ in ("asked once", "asked again"):
        ended = api.wait(api.request_erasure([_PERSON]).id)
        counted = ended.detail["unattributed_count"] if ended.detail else 0
        story.check((ended.state, counted) == ("partial", 1), f"{time_}: it ends partial, and counts it")
    api.upload("feedback", _KEY, _row("author"))
    _listed(api, there=False)
    story.check(True, "sent again with the right field, it leaves the list by itself")
    ended = api.wait(api.request_erasure([_PERSON]).id)
    story.check((ended.state, ended.detail) == ("completed", None), "and the erasure is completed")


def _row(field: str) -> bytes:
    return json.dumps({field: {"name": "Zita Unseen", "email": _PERSON}, "text": "hello"}).encode() + b"\n"


def _listed(api: PrivacyClient, *, there: bool) -> dict[str, object]:
    """Return what the list says of the file once it is there, nothing once it is not."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = [file for file in api.unattributed_files() if file["key"] == _KEY]
        if bool(found) == there:
            return dict(found[0]) if found else {}
        if time.monotonic() > deadline:
            raise TimeoutError(f"{_KEY} is {'not' if there else 'still'} listed after {_SECONDS} s")
        time.sleep(0.2)
