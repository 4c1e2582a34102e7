"""Events read in a process of their own, which may take so much time and memory and no more.

    python -m khive_persist.capture.isolation ROOT NAME…

For events at which a drain died, or whose reading may take more memory than is good for whoever
drains. What comes of each is its row, as a line of JSON on stdout.
"""

import math
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.capture.drain_settings import usable_settings
from khive_persist.capture.long_payloads import most_bytes, most_seconds
from khive_persist.capture.normalise import normalise
from khive_persist.capture.spool import Event, Spool, parse, split_away
from khive_persist.errors import CaptureError
from khive_persist.place import Place
from khive_persist.redaction import Redactor
from khive_persist.sealing import load_redactor
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.trust.processes import environment_for, module_command

# Others may have the processor meanwhile.
_WAITED_OUT: Final = 3


def read_alone(spool: Spool, events: Sequence[Event]) -> list[codec.Row | None]:
    """Read events in a process of their own; another one where that ends before the last.

    Returns:
        The row of each, or None of one that is not to be had.

    Raises:
        OSError: No process can be started.
    """
    if not Path(sys.executable).name.startswith("python"):
        # What embeds Python may stand there in its place.
        raise CaptureError(
            f"{spool.path / events[0].name} is to be read by a process of its own",
            hint="run khive-persist doctor",
        )
    rows: list[codec.Row | None] = []
    while len(rows) < len(events):
        rows += _read(spool, events[len(rows) :])
        if len(rows) < len(events):
            # At this one it ended.
            rows.append(None)
    return rows


def _read(spool: Spool, events: Sequence[Event]) -> list[codec.Row | None]:
    """Read events until the process ends, before the last or after it."""
    names = [event.name for event in events]
    command = module_command("khive_persist.capture.isolation", str(spool.place.root), *names)
    waited_seconds = _WAITED_OUT * sum(most_seconds(_size(spool, name)) for name in names)
    try:
        done = subprocess.run(  # noqa: S603 - the path is a word of its own
            command,
            env=environment_for(spool.place.root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=waited_seconds,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    else:
        output = done.stdout
    # What follows the last end of a line was not finished.
    return [_row(line) for line in output.split(b"\n")[:-1][: len(events)]]


def _row(line: bytes) -> codec.Row | None:
    values = codec.load(line)
    if values is None:
        return None
    id, content, metadata, created_at, embedding = values
    return id, content, metadata, created_at, embedding


def main() -> int:
    """Print the rows of events, each a line: `null` of one that is gone or cannot be read."""
    place = Place(Path(sys.argv[1]))
    spool = Spool(place)
    settings = usable_settings(place)
    redactor = load_redactor(place, settings)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(1, "wb", closefd=False) as answer:
        for name in sys.argv[2:]:
            event = parse(name)
            row = None
            if event is not None:
                # What is loaded at the first use is loaded before the limit.
                normalise(event, b"{}", Settings(), redactor)
                _limit(_size(spool, name))
                with suppress(OSError):
                    row = _row_of(spool, event, settings, redactor)
            answer.write(codec.dump(row).encode() + b"\n")
            answer.flush()
    return 0


def _row_of(spool: Spool, event: Event, settings: Settings, redactor: Redactor | None) -> codec.Row:
    raw = spool.read(event)
    project, payload = split_away(raw) if event.away else ("", raw)
    return normalise(event, payload, settings, redactor, project)


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
    is_lower = hard != resource.RLIM_INFINITY and hard < most
    resource.setrlimit(kind, (hard if is_lower else most, hard))


if __name__ == "__main__":
    sys.exit(main())
