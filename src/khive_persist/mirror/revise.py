"""Changing or removing many records of the mirror, so that nothing of them is left in its files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from khive_persist.mirror import forms, names, scan
from khive_persist.mirror.document import to_document
from khive_persist.mirror.documents import Documents
from khive_persist.place import Place, sync_directory
from khive_persist.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.revise import Change


def revise(
    place: Place,
    purpose: Purpose,
    change: Change,
    timeout_seconds: float,
    *,
    until: str | None = None,
    is_gone: Callable[[bytes], bool] = lambda _: False,
) -> Iterator[int]:
    """Change or remove records, a file at a time in the turn of the writers: synced when it ends.

    A stream is written anew without what no longer counts: lines of deleted records, and earlier
    lines of a record. A file without records goes.

    Args:
        place: Where.
        purpose: Whose records.
        change: As for a database.
        timeout_seconds: How long to wait for the writers.
        until: Only files of this day or an earlier one, as `2026_11_21`.
        is_gone: Whether a line or file that is no record goes, too.

    Yields:
        How many records were looked at, file by file.

    Raises:
        OSError: A file cannot be written; those before are done.
        StoreBusyError: The writers did not give up their lock.
    """
    database = place.database(purpose.file)
    for file in scan.files(place.sessions):
        day_and_ending = names.split(file, purpose)
        if day_and_ending is None or (until is not None and day_and_ending[0] > until):
            continue
        with lock.held_alone(database, timeout_seconds):
            path = place.sessions / file
            if purpose.is_stream:
                yield _revise_stream(path, purpose, change, is_gone)
            elif forms.is_file(path):
                yield _revise_document(place, path, purpose, change, is_gone)
    if place.sessions.exists():
        sync_directory(place.sessions)


def remove_unfinished(place: Place, purpose: Purpose, timeout_seconds: float) -> None:
    """Remove what killed writers left of files that never got their name."""
    with lock.held_alone(place.database(purpose.file), timeout_seconds):
        for name in scan.unfinished(place.sessions, purpose):
            (place.sessions / name).unlink()


def _revise_document(
    place: Place, path: Path, purpose: Purpose, change: Change, is_gone: Callable[[bytes], bool]
) -> int:
    (copy,) = scan.read(path.parent, path.name)
    if copy.problem:
        if copy.problem != scan.NOT_OURS and is_gone(path.read_bytes()):
            path.unlink()
        return 0
    if copy.row is None or copy.purpose != purpose.name:
        return 0
    new = change(copy.row)
    if new is None:
        path.unlink()
    elif new != copy.row:
        Documents(place.sessions, purpose).write([new])
    return 1


def _revise_stream(
    path: Path, purpose: Purpose, change: Change, is_gone: Callable[[bytes], bool]
) -> int:
    """Write a stream anew, as it lies there: packed where some of its lines are."""
    last: dict[Any, int] = {}
    for copy in scan.read(path.parent, path.name):
        if not copy.problem:
            if copy.purpose != purpose.name:
                return 0
            last[copy.id] = copy.line if copy.row is not None else 0
    if not (files := forms.files(path)):
        return 0
    count = kept = 0
    is_other = False

    def lines() -> Iterator[bytes]:
        nonlocal count, kept, is_other
        for copy, line in scan.stream(path):
            if copy.problem:
                if is_gone(line):
                    is_other = True
                else:
                    kept += 1
                    yield line
            elif copy.row is None or last[copy.id] != copy.line:
                is_other = True
            else:
                count += 1
                new = change(copy.row)
                if new == copy.row:
                    kept += 1
                    yield line
                    continue
                is_other = True
                if new is not None:
                    kept += 1
                    yield codec.dump(to_document(purpose, new)).encode() + b"\n"

    form, *others = files
    # A packer may be at work on the packed file, under another name.
    written = scan.write_beside(path, lines(), purpose, is_packed=form != path)
    if not is_other:
        written.unlink()
        return count
    if kept:
        os.replace(written, form)
    else:
        written.unlink()
        form.unlink()
    for other in others:
        # What it had is in the other one, which must not be lost without it.
        sync_directory(path.parent)
        other.unlink()
    return count
