"""Packing the streams of sessions that are over, a few at a time and out of everybody's way.

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
from khive_persist.mirror.stream_file import holder
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


class Packed(NamedTuple):
    """What a pass did.

    Attributes:
        streams: How many streams were packed.
        is_complete: Whether none was left for want of time.
    """

    streams: int
    is_complete: bool


def is_due(project: Project, settings: Settings) -> bool:
    """Whether a pass would look into the folder: two `stat`s, whatever lies there."""
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
) -> Packed | None:
    """Pack what is old enough, at most once an hour; None where it was not due.

    Each stream is on the disk in both of its forms before the plain one goes. Who writes waits for
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


def pack(project: Project, after_days: float, *, pass_seconds: float = PASS_SECONDS) -> Packed:
    """Pack the streams whose plain files were last written to so many days ago.

    What is torn, packed and damaged, or of an unknown purpose stays as it is. Raises as
    `pack_if_due`.
    """
    known = [purpose for purpose in known_purposes(project) if purpose.is_stream]
    before = time.time() - after_days * _DAY_SECONDS
    deadline = time.monotonic() + pass_seconds
    count = 0
    for file in _old_streams(project.sessions, before):
        if time.monotonic() >= deadline:
            return Packed(count, False)
        count += _pack_stream(project, project.sessions / file, known)
    return Packed(count, True)


def _old_streams(folder: Path, before: float) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if names.is_stream(entry.name)
            and entry.is_file(follow_symlinks=False)
            and _is_old(entry, before)
        )


def _is_old(entry: "os.DirEntry[str]", before: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < before
    except FileNotFoundError:
        return False


def _pack_stream(project: Project, path: Path, known: Sequence[Purpose]) -> bool:
    """Pack one stream; whether its plain file is gone."""
    purpose = _purpose_of(path, known)
    packed = packed_streams.packed_path(path)
    if purpose is None or (os.path.lexists(packed) and not packed_streams.is_file(packed)):
        return False
    try:
        # Before it is read: a purge meanwhile removes what is unfinished, so that nothing is left.
        state = packed_streams.state(path), os.lstat(path).st_mtime_ns
        written = scan.write_beside(packed, _all_lines(path), purpose, is_packed=True)
    except (FileNotFoundError, _Unsound):
        return False
    try:
        with turn(project, sharing(known, purpose)):
            if (packed_streams.state(path), os.lstat(path).st_mtime_ns) != state:
                return False
            os.replace(written, packed)
            sync_directory(path.parent)
            path.unlink()
            sync_directory(path.parent)
    except FileNotFoundError:
        # Purged or packed by somebody else meanwhile.
        return False
    finally:
        written.unlink(missing_ok=True)
    return True


class _Unsound(Exception):
    """A stream has lines that must not be packed, or cannot be read."""


def _purpose_of(path: Path, known: Sequence[Purpose]) -> Purpose | None:
    name, _ = holder(path) or ("", "")
    for purpose in known:
        if purpose.name == name and names.split(path.name, purpose) is not None:
            return purpose
    return None


def _all_lines(path: Path) -> Iterator[bytes]:
    """The packed lines of a stream, then its plain ones but for those that are packed already."""
    plain = [hash(line) for line in _sound(path)]
    packed = packed_streams.packed_path(path)
    seen: list[int] = []
    if packed_streams.is_file(packed):
        for line in _sound(packed):
            seen.append(hash(line))
            yield line
    skipped = _overlap(seen, plain)
    for number, line in enumerate(_sound(path)):
        if number >= skipped:
            yield line


def _sound(path: Path) -> Iterator[bytes]:
    for line in packed_streams.lines_in(path):
        if line.problem or not line.content.endswith(b"\n"):
            raise _Unsound(path)
        if len(line.content) >= packed_streams.LONGEST_PACKED_LINE_BYTES:
            raise _Unsound(path)
        yield line.content


def _overlap(packed: Sequence[int], plain: Sequence[int]) -> int:
    """How many lines the plain file begins with that the packed one ends with.

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


def damaged(project: Project) -> list[str]:
    """What is wrong with packed files, each one line: they are read to their ends."""
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
