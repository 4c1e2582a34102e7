"""The directory that sessions are looked for, by whatever path they or we came to it."""

import os
from pathlib import Path
from typing import Final

# Longer names Claude Code cuts, and adds a digest.
_NAME_UNITS: Final = 200


class Project:
    """A directory and what is below it.

    Attributes:
        roots: Its paths: as it is named, and the physical one.
    """

    def __init__(self, root: Path) -> None:
        self.roots: Final = frozenset((root, Path(os.path.realpath(root))))
        self._names: Final = frozenset(folder_name(str(root))[:_NAME_UNITS] for root in self.roots)
        self._known: dict[str, bool] = {}

    def may_have(self, name: str) -> bool:
        """Return whether a folder of Claude Code's can be of this directory, by its name alone."""
        return any(name.startswith(prefix) for prefix in self._names)

    def has(self, directory: str | None) -> bool:
        """Return whether a working directory is this one or below it."""
        if directory is None:
            return False
        if directory not in self._known:
            self._known[directory] = self._is_below(directory)
        return self._known[directory]

    def _is_below(self, directory: str) -> bool:
        if "\0" in directory:
            return False
        physical = os.path.realpath(directory)
        return any(
            Path(path).is_relative_to(r) for path in (directory, physical) for r in self.roots
        )


def folder_name(path: str) -> str:
    """Return Claude Code's name of the folder for a directory, before it is cut.

    Each UTF-16 unit that is no letter or digit of ASCII is a dash.
    """
    return "".join(
        character if character.isascii() and character.isalnum() else _dashes(character)
        for character in path
    )


def _dashes(character: str) -> str:
    return "--" if ord(character) > 0xFFFF else "-"
