"""Say which `.khive` is used from here, and why that one, without a mark or a change."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from khive_persist.capture import spool_writer
from khive_persist.errors import ProjectError
from khive_persist.trust import marks, search

Source = Literal["option", "environment", "upward", "home"]
State = Literal["trusted", "meant", "settings", "untrusted", "missing"]


class Location(NamedTuple):
    """The `.khive` that is used, and the way to it.

    Attributes:
        khive: Its path.
        source: `option` of the command line, `environment` (KHIVE_DIR), found `upward`, or `home`.
        start: The directory that was named, or where the search began.
        state: `trusted`; `meant`: KHIVE_DIR names it, which is enough; `settings`: it holds nothing
            but settings, and is trusted once it is used; `untrusted`; `missing`.
        problem: The reason why it is not used as it is, with the way out; or an empty string.
        passed: The nearest `.khive` of this user's that was passed over, or None.
    """

    khive: Path
    source: Source
    start: Path
    state: State
    problem: str
    passed: Path | None

    @property
    def is_usable(self) -> bool:
        """Return whether it is there and may be used."""
        return self.state not in ("untrusted", "missing")


def locate(directory: str | None) -> Location:
    """Find the `.khive` that commands use, as `search` does.

    Args:
        directory: The directory that the command line names, or None.

    Raises:
        ProjectError: None is named or found, and there is no home directory.
    """
    if directory:
        return _named(directory, "option")
    if khive_dir := os.environ.get("KHIVE_DIR"):
        return _named(khive_dir, "environment")
    start = os.path.realpath(".")
    home = spool_writer.home()
    root, nearest = spool_writer.search(start, home)
    if not nearest:
        raise ProjectError("no .khive was found and there is no home", hint="set KHIVE_DIR")
    khive = Path(spool_writer.khive_of(nearest))
    is_passed = nearest != root
    if is_passed and root and not search.is_bare(khive):
        passed, khive = khive, Path(spool_writer.khive_of(root))
    else:
        passed = None
    source: Source = "home" if khive == Path(spool_writer.khive_of(home)) else "upward"
    return _location(khive, source, Path(start), passed)


def _named(directory: str, source: Source) -> Location:
    root = os.path.abspath(directory)
    return _location(Path(spool_writer.khive_of(root)), source, Path(root), None)


def _location(khive: Path, source: Source, start: Path, passed: Path | None) -> Location:
    state: State = "untrusted"
    problem = ""
    if not os.path.lexists(khive):
        state = "missing"
        problem = f"{khive} is not there: khive-persist init, or a first save, makes it"
    elif marks.is_trusted(khive):
        state = "trusted"
    elif source == "environment" and marks.is_own(khive):
        state = "meant"
    elif search.is_bare(khive):
        state = "settings"
    elif search.may_be_used(khive):
        # Where no marks can be kept, to be the user's own is enough.
        state = "trusted"
    else:
        problem = str(search.untrusted(khive))
    return Location(khive, source, start, state, problem, passed)
