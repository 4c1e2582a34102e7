"""Read events in a process of their own, which may take so much time and memory and no more.

    python -m khive_persist.capture.isolation read|store ROOT NAME…

For events at which a drain died, or whose reading may take more memory than is good for whoever
drains. It says on stdout when it is ready; then what comes of each event, as a line of JSON: its
row, once it is read, or stored; `false` where it has to wait; `null` where there is none.
"""

import math
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from khive_persist.capture.drain_settings import usable_settings
from khive_persist.capture.long_payloads import most_bytes, most_seconds
from khive_persist.capture.pauses import CurrentPauses, count_unrecorded
from khive_persist.capture.payload_to_row import file_of, normalise
from khive_persist.capture.spool import Event, Spool, parse
from khive_persist.errors import (
    CaptureError,
    InvalidRecordError,
    MirrorError,
    ProjectError,
    StoreError,
)
from khive_persist.mirror.mirror import Mirror
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.redacting import load_redactor
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.trust.processes import environment_for, module_command

# To read takes up to a second for each megabyte: others come first.
_NICENESS: Final = 5
# They may have the processor meanwhile, each three times as long.
_WAITED_OUT: Final = 9
_START_SECONDS: Final = 30.0
_LOCKED_SECONDS: Final = 10.0
_Outcome = codec.Row | Literal[False] | None


def read_alone(spool: Spool, events: Sequence[Event]) -> list[codec.Row | None]:
    """Read events in a process of their own; another one where that ends before the last.

    Returns:
        The row of each, or None of one that is not to be had.

    Raises:
        OSError: No process can be started.
    """
    return [row or None for row in _outcomes("read", spool, events)]


def store_alone(spool: Spool, events: Sequence[Event]) -> list[codec.Row | Literal[False] | None]:
    """Read and store events, as `read_alone` reads them.

    Returns:
        The row of each that is stored, False of one whose database does not take it now, or None of
        one that is not to be had, or ended who stored it.

    Raises:
        OSError: No process can be started.
    """
    return _outcomes("store", spool, events)


def _outcomes(verb: str, spool: Spool, events: Sequence[Event]) -> list[_Outcome]:
    if not Path(sys.executable).name.startswith("python"):
        # What embeds Python may stand there in its place.
        raise CaptureError(
            f"{spool.path / events[0].name} is to be read by a process of its own",
            hint="run khive-persist doctor",
        )
    outcomes: list[_Outcome] = []
    while len(outcomes) < len(events):
        outcomes += _run(verb, spool, [event.name for event in events[len(outcomes) :]])
        if len(outcomes) < len(events):
            # At this one it ended.
            outcomes.append(None)
    return outcomes


def _run(verb: str, spool: Spool, names: Sequence[str]) -> list[_Outcome]:
    """Read or store events until the process ends, before the last or after it."""
    command = module_command(
        "khive_persist.capture.isolation", verb, str(spool.project.root), *names
    )
    seconds = sum(most_seconds(_size(spool, name)) for name in names)
    if verb == "store":
        seconds += _LOCKED_SECONDS * len(names)
    try:
        result = subprocess.run(  # noqa: S603 - the path is a word of its own
            command,
            env=environment_for(spool.project.root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_START_SECONDS + _WAITED_OUT * seconds,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    else:
        output = result.stdout
    # What follows the last end of a line was not finished.
    ready, *lines = output.split(b"\n")[:-1] or [b""]
    if not ready:
        # No event is at fault.
        raise CaptureError(f"{spool.path}: no process could be started to read its events")
    return [_outcome(line) for line in lines[: len(names)]]


def _outcome(line: bytes) -> _Outcome:
    value = codec.load(line)
    if not value:
        return False if value is False else None
    id, content, metadata, created_at, embedding = value
    return id, content, metadata, created_at, embedding


def main() -> int:
    """Print what comes of each event."""
    verb, root, *names = sys.argv[1:]
    if verb == "read":
        # Who stores holds a lock that others wait for.
        os.nice(_NICENESS)
    project = Project(Path(root))
    spool = Spool(project)
    settings = usable_settings(project)
    redactor = load_redactor(project, settings)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(1, "wb", closefd=False) as answer:
        answer.write(b"ready\n")
        answer.flush()
        for name in names:
            event = parse(name)
            outcome: _Outcome = None
            if event is not None:
                # What is loaded at the first use is loaded before the limit.
                normalise(event, b"{}", Settings(), redactor)
                _limit(_size(spool, name))
                # Gone, or not to be read.
                with suppress(OSError):
                    outcome = normalise(event, spool.read(event), settings, redactor)
            if verb == "store" and event is not None and outcome:
                _bound(resource.RLIMIT_AS, resource.RLIM_INFINITY)
                outcome = _store(project, settings, event, outcome)
            answer.write(codec.dump(outcome).encode() + b"\n")
            answer.flush()
    return 0


def _store(project: Project, settings: Settings, event: Event, row: codec.Row) -> _Outcome:
    if (span := CurrentPauses(project).get().of_row(row, event.arrival_ns)) is not None:
        # Its file goes, as if it were stored.
        count_unrecorded(span, event.arrival_ns)
        return row
    purpose = file_of(event, row)
    mirror = Mirror(project, settings).follower(purpose)
    writer = FileWriter(project.database(purpose.file), purpose, _LOCKED_SECONDS, mirror)
    try:
        with writer.transaction() as writing:
            writing.insert_new([row])
    except InvalidRecordError:
        return None
    except MirrorError:
        # It is in the database and its log.
        return row
    except (StoreError, ProjectError):
        return False
    finally:
        writer.close()
    return row


def _size(spool: Spool, name: str) -> int:
    try:
        return os.lstat(spool.path / name).st_size
    except OSError:
        return 0


def _limit(size: int) -> None:
    """Bound what this process may take from now on."""
    seconds = math.ceil(most_seconds(size) + sum(os.times()[:2]))
    _bound(resource.RLIMIT_CPU, seconds)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _bound(resource.RLIMIT_AS, pages * resource.getpagesize() + most_bytes(size))


def _bound(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    is_wider = resource.RLIM_INFINITY not in (most, hard) and hard < most
    resource.setrlimit(kind, (hard if is_wider or most == resource.RLIM_INFINITY else most, hard))


if __name__ == "__main__":
    sys.exit(main())
