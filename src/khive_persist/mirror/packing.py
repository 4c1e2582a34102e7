"""Packing the streams of finished sessions, a few at a time, without blocking writers.

A stream whose plain file was not written to for `mirror.pack_after_days` gets its lines into its
packed file, behind those that are packed already. The plain file goes only when the packed one is
on the disk; killed in between, both have the lines, and the next pass knows that.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror.stream_file import owner_of
from khive_persist.mirror.write_locks import sharing, turn
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, sync_directory
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock

MARKER: Final = ".packed.lock"
# Between two looks into the folder, which may have 100,000 files.
EVERY_SECONDS: Final = 3_600.0
# One pass works no longer; if something is left, the next may come this soon.
PASS_SECONDS: Final = 10.0
SOON_SECONDS: Final = 60.0
_DAY_SECONDS: Final = 86_400.0


class PackResult(NamedTuple):
    """The result of a pass.

    Attributes:
        streams: The number of streams packed.
        is_complete: Whether none was left for want of time.
    """

    streams: int
    is_complete: bool


def is_due(project: Project, settings: Settings) -> bool:
    """Return whether a pass would list the folder; it costs two `stat`s."""
    if not settings.mirror_pack_after_days or not scan.is_folder(project.sessions):
        return False
    try:
        age = time.time() - os.lstat(project.sessions / MARKER).st_mtime
    except FileNotFoundError:
        return True
    # A marker from the future is of a clock that was wrong.
    return not 0 <= age < EVERY_SECONDS


def pack_if_due(
    project: Project, settings: Settings, *, pass_seconds: float = PASS_SECONDS
) -> PackResult | None:
    """Pack what is old enough, at most once an hour; None where it was not due.

    Each stream is on the disk in both of its forms before the plain one goes. Writers wait for
    no more than that moment.

    Raises:
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
        StoreError: The writers did not give up their lock; what was packed by then stays packed.
        OSError: A file cannot be read or written.
    """
    if not is_due(project, settings):
        return None
    marker = project.sessions / MARKER
    # Taking the lock makes the marker, where there is none.
    is_first = not os.path.lexists(marker)
    held = write_lock.try_acquire(marker)
    if held is None:
        return None
    try:
        if not is_first and not is_due(project, settings):
            return None
        # Also where it fails: then it is tried again in an hour, and not by each drainer.
        os.utime(held)
        packed = pack(project, settings.mirror_pack_after_days, pass_seconds=pass_seconds)
        if not packed.is_complete:
            soon = time.time() - EVERY_SECONDS + SOON_SECONDS
            os.utime(held, (soon, soon))
    finally:
        os.close(held)
    return packed


def pack(project: Project, after_days: float, *, pass_seconds: float = PASS_SECONDS) -> PackResult:
    """Pack the streams whose plain files were last written to so many days ago.

    What is torn, packed and damaged, or of an unknown purpose stays as it is. Raises as
    `pack_if_due`.
    """
    purposes = [purpose for purpose in known_purposes(project) if purpose.is_stream]
    cutoff = time.time() - after_days * _DAY_SECONDS
    deadline = time.monotonic() + pass_seconds
    count = 0
    for file in _old_streams(project.sessions, cutoff):
        if time.monotonic() >= deadline:
            return PackResult(count, False)
        count += _pack_stream(project, project.sessions / file, purposes)
    return PackResult(count, True)


def _old_streams(folder: Path, cutoff: float) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if names.is_stream(entry.name)
            and entry.is_file(follow_symlinks=False)
            and _is_old(entry, cutoff)
        )


def _is_old(entry: "os.DirEntry[str]", cutoff: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < cutoff
    except FileNotFoundError:
        return False


def _pack_stream(project: Project, path: Path, purposes: Sequence[Purpose]) -> bool:
    """Pack one stream, and return whether its plain file was removed."""
    purpose = _purpose_of(path, purposes)
    packed = packed_streams.packed_path(path)
    if purpose is None or (os.path.lexists(packed) and not packed_streams.is_file(packed)):
        return False
    try:
        # Before it is read: a purge meanwhile removes what is unfinished, so that nothing is left.
        state = packed_streams.state(path), os.lstat(path).st_mtime_ns
        temporary = scan.write_beside(packed, _all_lines(path), purpose, is_packed=True)
    except (FileNotFoundError, _UnpackableError):
        return False
    try:
        with turn(project, sharing(purposes, purpose)):
            if (packed_streams.state(path), os.lstat(path).st_mtime_ns) != state:
                return False
            os.replace(temporary, packed)
            sync_directory(path.parent)
            path.unlink()
            sync_directory(path.parent)
    except FileNotFoundError:
        # Purged or packed by another process meanwhile.
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


class _UnpackableError(Exception):
    """A stream has lines that must not be packed, or cannot be read."""


def _purpose_of(path: Path, purposes: Sequence[Purpose]) -> Purpose | None:
    name, _ = owner_of(path) or ("", "")
    for purpose in purposes:
        if purpose.name == name and names.split(path.name, purpose) is not None:
            return purpose
    return None


def _all_lines(path: Path) -> Iterator[bytes]:
    """Yield the packed lines of a stream, then its plain ones that are not packed already."""
    plain_hashes = [hash(line) for line in _complete_lines(path)]
    packed = packed_streams.packed_path(path)
    packed_hashes: list[int] = []
    if packed_streams.is_file(packed):
        for line in _complete_lines(packed):
            packed_hashes.append(hash(line))
            yield line
    skipped = _overlap(packed_hashes, plain_hashes)
    for number, line in enumerate(_complete_lines(path)):
        if number >= skipped:
            yield line


def _complete_lines(path: Path) -> Iterator[bytes]:
    for line in packed_streams.lines_in(path):
        if line.problem or not line.content.endswith(b"\n"):
            raise _UnpackableError(path)
        if len(line.content) >= packed_streams.LONGEST_PACKED_LINE_BYTES:
            raise _UnpackableError(path)
        yield line.content


def _overlap(packed: Sequence[int], plain: Sequence[int]) -> int:
    """Return the number of lines that the plain file begins with and the packed one ends with.

    A pass that was killed between the two leaves such lines, and late ones may follow them. To
    leave them out changes nothing: of several lines with one id the last counts.
    """
    # Knuth, Morris and Pratt: how much of `plain` the lines so far end with.
    borders = [0]
    for line in plain[1:]:
        length = borders[-1]
        while length and plain[length] != line:
            length = borders[length - 1]
        borders.append(length + (plain[length] == line))
    length = 0
    for line in packed:
        while length and (length == len(plain) or plain[length] != line):
            length = borders[length - 1]
        if plain and plain[length] == line:
            length += 1
    return length


def packing_problems(project: Project) -> list[str]:
    """Return the problems of packed files, each one line. The files are read to their ends."""
    problems = []
    try:
        present = os.listdir(project.sessions)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in sorted(present):
        path = project.sessions / name
        if names.stream_of(name) == name or not packed_streams.is_file(path):
            continue
        reason = next((line.problem for line in packed_streams.lines_in(path) if line.problem), "")
        if reason:
            problems.append(f"{path} is damaged: {reason}; mend it by rebuild --from-database")
    return problems
