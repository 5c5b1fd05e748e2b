"""Folders that a program hands over as archives."""

import hashlib
import threading
from pathlib import Path

from local.deploy.creator import Folder
from local.emulator.emulator import ROOT


class Folders:
    """Folders that the program hands over, each read once in a deployment."""

    def __init__(self) -> None:
        self._known: dict[Path, Folder] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> Folder:
        """The folder at a path, relative to the project's."""
        place = (ROOT / path).resolve()
        with self._lock:
            if place not in self._known:
                self._known[place] = Folder(place, _digest(place))
            return self._known[place]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
