"""`HookFiles`: where our hooks for a tool are in one scope, whatever form they have there."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from khive_persist.capture.hook_config.entry import Entry, Target
from khive_persist.tools import Hook


class Plan(NamedTuple):
    """What an install wants.

    Attributes:
        is_due: A function that tells whether a hook of the tool is to be registered.
        is_unknown: A function that tells whether a version of the tool does not know an event.
        target_of: A function that returns the target of an event.
    """

    is_due: Callable[[Hook], bool]
    is_unknown: Callable[[str], bool]
    target_of: Callable[[str], Target]


class Registered(NamedTuple):
    """What a scope has of our hooks.

    Attributes:
        entries: Our hooks.
        alike: The events for which a command of the user's own runs our hook.
        problems: The problems of the files themselves, a line each.
        occupied: The files of the user's own in the place of ours.
    """

    entries: tuple[Entry, ...] = ()
    alike: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    occupied: tuple[Path, ...] = ()


class Written(NamedTuple):
    """What an install or an uninstall has done.

    Attributes:
        written: Whether a file was written or deleted.
        events: The events whose hooks were added, updated or removed.
        occupied: The files of the user's own that were left in the place of ours.
    """

    written: bool
    events: tuple[str, ...]
    occupied: tuple[Path, ...] = ()


class HookFiles(Protocol):
    """Our hooks for one tool in one scope.

    Attributes:
        path: The file, or the folder of several.
    """

    path: Path

    def registered(self, is_alike: Callable[[object], bool] = ...) -> Registered:
        """Return our hooks there; nothing is changed.

        Args:
            is_alike: A function that tells whether a command that is not ours runs our hook.

        Raises:
            InvalidSettingsError: What is there cannot be read, or is not valid.
        """

    def install(self, plan: Plan) -> Written:
        """Register our hook for what is due; what else is there stays, byte for byte.

        A hook of ours that is there keeps its place, timeout and matcher. One for an event that a
        version does not know goes. Done twice, nothing changes the second time.

        Raises:
            InvalidSettingsError: What is there is not valid, or cannot be written; it is as it was.
        """

    def uninstall(self) -> Written:
        """Take our hooks out; after `install` alone, all is as it was before, byte for byte.

        Raises:
            InvalidSettingsError: What is there is not valid, or cannot be written; it is as it was.
        """

    def changed_at(self) -> float:
        """Return the time since which all of it is as it is, in seconds since the epoch.

        Raises:
            OSError: It is not there.
        """
