"""The spellings of one file: relative and absolute, below a root that moved, before a renaming."""

import os.path
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.sessions.call_kind import command_of
from khive_persist.sessions.timeline.tool_call import paths_of

_MOST_NAMES: Final = 16
_SEPARATORS: Final = frozenset({"&&", "||", ";", "|", "&"})
_PATCHED: Final = "*** Update File: "
_MOVED: Final = "*** Move to: "
_PATCHES: Final = ("input", "command", "patch", "patchText", "patch_text")


class Renaming(NamedTuple):
    """A file or a folder that was renamed: its paths before and after, as they were spelled."""

    former: str
    present: str


class FileNames:
    """The names that one file has had, each a path below the root or an absolute one elsewhere.

    Args:
        path: The path that is asked for; a relative one is below the root.
        roots: The directories where the project lies and lay before, the present one first.

    Attributes:
        names: The names, that which is asked for first.
    """

    def __init__(self, path: str, roots: Sequence[Path]) -> None:
        self._roots = [os.path.normpath(root) for root in roots]
        self.names = [self.name_of(path, "")]

    def name_of(self, path: str, directory: str) -> str:
        """Return the name of a path, as a call in a directory spells it."""
        path = os.path.normpath(os.path.join(directory or self._roots[0], path))
        for root in self._roots:
            if path.startswith(root.rstrip("/") + "/"):
                return os.path.relpath(path, root)
        return path

    def has(self, path: str, directory: str) -> bool:
        """Tell whether a path, as a call in a directory spells it, is the file."""
        return self.name_of(path, directory) in self.names

    @property
    def base_names(self) -> list[str]:
        """The last parts of the names, each once."""
        return [*dict.fromkeys(os.path.basename(name) for name in self.names)]

    def follow(self, renamings: Iterable[tuple[Renaming, str]]) -> bool:
        """Add the names that the file had before renamings, each with the directory of its call.

        Returns:
            Whether there are any.
        """
        count = len(self.names)
        for renaming, directory in renamings:
            former_path = self.name_of(renaming.former, directory)
            present_path = self.name_of(renaming.present, directory)
            for name in list(self.names):
                former = _former(name, former_path, present_path)
                if former and former not in self.names and len(self.names) < _MOST_NAMES:
                    self.names.append(former)
        return len(self.names) > count


def _former(name: str, former: str, present: str) -> str:
    """Return the name that a file had before a renaming; an empty string where it is another's."""
    if name == present:
        return former
    if name.startswith(present + "/"):
        # Either its folder was renamed, or it was moved into that folder.
        below = name[len(present) + 1 :]
        return former if os.path.basename(former) == below else f"{former}/{below}"
    return ""


def renamings_of(arguments: Any) -> list[Renaming]:
    """Return the renamings that a call makes: by `mv` and `git mv`, or by a patch."""
    renamings = [Renaming(*pair) for pair in _moved_by_patch(arguments)]
    command = command_of(arguments)
    if "mv" not in command:
        return renamings
    for words in _commands(command):
        if words[:2] == ["git", "mv"]:
            words = words[1:]
        if not words or os.path.basename(words[0]) != "mv":
            continue
        paths = [word for word in words[1:] if not word.startswith("-")]
        renamings += [Renaming(path, paths[-1]) for path in paths[:-1]]
    return renamings


def named_paths(arguments: Any) -> list[str]:
    """Return the paths that a call names: its files, and the words of its command."""
    command = command_of(arguments)
    words = [word for part in _commands(command) for word in part] if command else []
    return [*paths_of(arguments), *words]


def _commands(command: str) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for line in command.splitlines():
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:
            words = line.split()
        for word in words:
            if word in _SEPARATORS:
                commands.append([])
            else:
                commands[-1].append(word)
        commands.append([])
    return [words for words in commands if words]


def _moved_by_patch(arguments: Any) -> Iterable[tuple[str, str]]:
    values = [arguments.get(name) for name in _PATCHES] if isinstance(arguments, dict) else []
    for value in values:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or _MOVED not in text:
                continue
            former = ""
            for line in text.splitlines():
                if line.startswith(_PATCHED):
                    former = line.removeprefix(_PATCHED)
                elif line.startswith(_MOVED) and former:
                    yield former, line.removeprefix(_MOVED)
