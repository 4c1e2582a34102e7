"""Marks: `.khive/id`, and the same bits in the user's state folder under its physical path.

Which marks agree is decided in `capture/spool_writer.py`, which the hook runs by itself.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from khive_persist.capture import spool_writer
from khive_persist.errors import ProjectError, UntrustedError
from khive_persist.files import PRIVATE_FILE, make_directory, sync_directory

ID: Final = "id"
MARKS: Final = "marks"
_MOVED: Final = ".moved"
_MERGED: Final = ".merged"
LOCK: Final = "marks.lock"
_HEX: Final = frozenset("0123456789abcdef")
# Of a volume that containers share, each with a home of its own, the first homes stay known.
_MOST_HOMES: Final = 32
_MOST_MOVES: Final = 64


def state_home() -> Path | None:
    """Return the directory whose `.khive` is the user's state folder; None if none is writable."""
    directory = spool_writer.home()
    return Path(directory) if directory else None


def state_folder() -> Path | None:
    """Return the state folder itself, which need not be there yet."""
    home = state_home()
    return None if home is None else Path(spool_writer.khive_of(str(home)))


def is_state(khive: Path) -> bool:
    """Return whether a `.khive` is the state folder."""
    folder = state_folder()
    try:
        return folder is not None and os.path.samestat(os.lstat(folder), os.lstat(khive))
    except OSError:
        return folder is not None and physical(folder) == physical(khive)


def physical(khive: Path) -> Path:
    """Return a `.khive`'s path without links above it; `.khive` itself is not followed."""
    return Path(os.path.realpath(khive.parent)) / khive.name


def is_own(khive: Path) -> bool:
    """Return whether it is a directory of the effective user's."""
    try:
        return spool_writer.is_own(os.lstat(khive), os.geteuid())
    except OSError:
        return False


def is_marked(khive: Path) -> bool:
    """Return whether it is this user's, and has its mark."""
    home = state_home()
    return (
        is_own(khive)
        and home is not None
        and spool_writer.is_trusted(str(physical(khive)), str(home))
    )


def is_trusted(khive: Path) -> bool:
    """Return whether it is marked, or the state folder itself."""
    return is_own(khive) and (is_state(khive) or is_marked(khive))


def digits(khive: Path) -> str:
    """Return this user's digits of its `id`, or an empty string where it has no mark."""
    if (folder := state_folder()) is None:
        return ""
    mark = _mark_path(folder, physical(khive))
    try:
        return spool_writer.own_digits(os.readlink(khive / ID), os.readlink(mark))
    except OSError:
        return ""


def all_digits(khive: Path) -> list[str]:
    """Return the digits of its `id` of all users, the oldest first."""
    try:
        parts = os.readlink(khive / ID).split("-")
    except OSError:
        return []
    return [part for part in parts if len(part) == spool_writer.MARK_DIGITS and set(part) <= _HEX]


def make_khive(khive: Path) -> None:
    """Make a `.khive` where it is missing, marked on return where marks can be kept.

    Raises:
        ProjectError: It cannot be made, or is a link or a file.
    """
    if os.path.lexists(khive):
        make_directory(khive)
        return
    with _turn():
        is_new = not os.path.lexists(khive)
        make_directory(khive)
        if is_new and not is_state(khive):
            _mark(khive)


def mark(khive: Path) -> bool:
    """Mark a `.khive` as this user's; return whether that worked: the state folder needs no mark.

    Under another home directory it keeps the mark that it has.

    Raises:
        UntrustedError: Another user owns it.
    """
    if is_state(khive):
        return True
    if not is_own(khive):
        raise UntrustedError(f"{khive} is no directory of yours")
    with _turn():
        if is_marked(khive):
            return True
        others = all_digits(khive)[: _MOST_HOMES - 1]
        if os.path.lexists(khive / ID):
            stale = khive / f".{ID}.{os.urandom(8).hex()}.old"
            os.rename(khive / ID, stale)
            if stat.S_ISDIR(os.lstat(stale).st_mode):
                raise UntrustedError(f"{khive / ID} is a directory", hint="move it away")
            os.unlink(stale)
        return _mark(khive, others)


def known_paths(text: str) -> list[Path]:
    """Return the directories whose `.khive` has a mark of these digits."""
    if not text:
        return []
    return [path for path, link in _links(".khive") if text in link.split("-")]


def marked_paths() -> list[Path]:
    """Return the directories whose `.khive` this user has marked, there or gone, sorted by path."""
    return sorted(path for path, _ in _links(".khive"))


def earlier_paths(*, is_merged: bool = False) -> dict[Path, list[Path]]:
    """Return the earlier paths of moved projects, or of those merged into one, by its path now."""
    paths: dict[Path, list[Path]] = {}
    for path, _ in _links(_MOVED):
        current, was_merged = _present_path(path)
        if current != path and was_merged == is_merged:
            paths.setdefault(current, []).append(path)
    return {current: sorted(earlier) for current, earlier in paths.items()}


def moved_to(directory: Path) -> Path:
    """Return the directory that `.khive` was moved to, or merged into; itself where it was neither.

    Whoever makes another `.khive` at the old path has a project of its own there.
    """
    return _present_path(directory)[0]


def forget(khive: Path, current: Path, *, is_merged: bool = False) -> None:
    """Remove the mark of a `.khive` that is no longer there, and store its present path.

    Args:
        khive: The `.khive`.
        current: The path of it, or of the one that has what it had.
        is_merged: Whether it was merged into that one.
    """
    if folder := state_folder():
        old = _mark_path(folder, khive)
        with suppress(OSError):
            old.with_name(_MERGED).unlink(missing_ok=True)
            old.with_name(_MOVED).unlink(missing_ok=True)
            for name in (_MERGED, _MOVED) if is_merged else (_MOVED,):
                old.with_name(name).symlink_to(physical(current).parent)
        old.unlink(missing_ok=True)


def _present_path(directory: Path) -> tuple[Path, bool]:
    """Return what `moved_to` does, and whether it was merged on the way there."""
    folder = state_folder()
    if folder is None:
        return directory, False
    path = Path(os.path.realpath(directory))
    is_merged = False
    for _ in range(_MOST_MOVES):
        if os.path.lexists(path / ".khive"):
            return path, is_merged
        mark = _mark_path(folder, path)
        try:
            path = Path(os.readlink(mark / _MOVED))
        except (OSError, ValueError):
            break
        is_merged |= os.path.lexists(mark / _MERGED)
    return directory, False


def unmark(khive: Path) -> list[str]:
    """Take away the mark of a `.khive`, there or gone, and return its digits; none without one.

    Raises:
        OSError: It cannot be taken away.
    """
    if (folder := state_folder()) is None:
        return []
    path = _mark_path(folder, khive)
    try:
        digits = os.readlink(path).split("-")
        path.unlink()
    except FileNotFoundError:
        return []
    return digits


def _mark_path(folder: Path, path: Path) -> Path:
    return folder / MARKS / str(path).lstrip("/")


def _links(name: str) -> Iterator[tuple[Path, str]]:
    """Yield the links of one name in the tree of marks: the directory of each, and its text."""
    folder = state_folder()
    if folder is None:
        return
    marks = folder / MARKS
    for at, _, _ in os.walk(marks):
        try:
            yield Path("/") / os.path.relpath(at, marks), os.readlink(os.path.join(at, name))
        except OSError:
            continue


def _mark(khive: Path, others: Sequence[str] = ()) -> bool:
    home = state_home()
    if home is None:
        return False
    path = physical(khive)
    try:
        make_directory(Path(spool_writer.khive_of(str(home))))
        parents: list[int] = []
        try:
            spool_writer.mark(
                str(path), str(home), parents, "".join(f"{other}-" for other in others)
            )
            for parent in parents:
                os.fsync(parent)
        finally:
            for parent in parents:
                os.close(parent)
        sync_directory(path)
    except (OSError, ProjectError):
        # Without links, or room. Named by the person it is used all the same.
        return is_marked(khive)
    return True


@contextmanager
def _turn() -> Iterator[None]:
    """Let one process mark at a time: who comes second finds what the first one made."""
    folder = state_folder()
    descriptor = None
    if folder is not None:
        try:
            make_directory(folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(folder / LOCK, flags, PRIVATE_FILE)
            os.fchmod(descriptor, PRIVATE_FILE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except (OSError, ProjectError):
            # A file system without locks, or a full one: marking is rare enough.
            pass
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
