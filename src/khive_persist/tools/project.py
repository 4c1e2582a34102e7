"""The directory that sessions are looked for, by whatever path they or we came to it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.tools.head import documents


class Project:
    """A directory and what is below it.

    Attributes:
        roots: Its paths: as it is named, and the physical one.
    """

    def __init__(self, root: Path) -> None:
        self.roots: Final = frozenset((root, Path(os.path.realpath(root))))
        self._known: dict[str, bool] = {}

    def has(self, directory: str | None) -> bool:
        """Return whether a working directory is this one or below it."""
        if directory is None:
            return False
        if directory not in self._known:
            self._known[directory] = self._is_below(directory)
        return self._known[directory]

    def has_session(self, transcript: Path) -> bool:
        """Return whether a transcript's first lines name a working directory of it."""
        return self.has(_working_directory(transcript))

    def _is_below(self, directory: str) -> bool:
        if "\0" in directory:
            return False
        physical = os.path.realpath(directory)
        return any(
            Path(path).is_relative_to(r) for path in (directory, physical) for r in self.roots
        )


def _working_directory(path: Path) -> str | None:
    with suppress(OSError):
        for document in documents(path):
            payload = document.get("payload")
            cwd = document.get("cwd") or (payload.get("cwd") if isinstance(payload, dict) else None)
            if isinstance(cwd, str):
                return cwd
    return None
