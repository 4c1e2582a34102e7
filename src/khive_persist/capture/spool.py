"""The spool: events and records accepted and not yet in a database, one file each."""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.capture import record_file, spool_writer
from khive_persist.capture.abandoned import is_abandoned
from khive_persist.capture.record_file import RecordFile
from khive_persist.errors import CaptureError
from khive_persist.project import Project, make_directory
from khive_persist.trust import marks

DRAIN_LOCK: Final = "drain.lock"
DRAINER_LOCK: Final = "drainer.lock"
HANDOVER_LOCK: Final = "handover.lock"
LOCKS: Final = (DRAIN_LOCK, DRAINER_LOCK, HANDOVER_LOCK)

_NAME: Final = re.compile(
    r"(\d{20})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([a-z-]+)(\.cut)?(?:\.by-([a-z-]+))?"
    r"\.(event|away)\Z"
)
_TEMPORARY: Final = re.compile(r"\.(.+\.(?:event|away|record))\.tmp\Z")
_UNFINISHED: Final = re.compile(r"\..+\.event\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp\Z")
_HEADER_BYTES: Final = 8192


class Event(NamedTuple):
    """One accepted event, as the name of its file tells.

    Attributes:
        name: The file's name.
        arrival_ns: The time of arrival, in nanoseconds since the Unix epoch.
        id: The id that it will have in the database.
        tool: The tool that sent it.
        is_cut: Whether its stdin was not read to the end.
        is_away: Whether it lies here for another project, whose path stands before the payload.
        client: The client that ran the tool's hook in its place, as the environment names it; an
            empty string where it names none.
    """

    name: str
    arrival_ns: int
    id: str
    tool: str
    is_cut: bool
    is_away: bool
    client: str = ""


def parse(name: str) -> Event | None:
    """Return the event of a file's name; None for a file that is no event."""
    match = _NAME.match(name)
    if match is None:
        return None
    arrival_ns, id, tool, cut, client, kind = match.groups()
    return Event(name, int(arrival_ns), id, tool, cut is not None, kind == "away", client or "")


class Spool:
    """The spool of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.spool
        self._prefix = f"{self.path}/"

    def make(self) -> None:
        """Make the spool where it is missing.

        Raises:
            ProjectError: It cannot be made, or a link stands in its place.
        """
        self.project.make()
        make_directory(self.path)
        for name in LOCKS:
            # Where that fails, taking the lock says why.
            with suppress(OSError):
                self._clear(name)

    def _clear(self, name: str) -> None:
        """Clear the way for a lock: a link, a folder or another user's file would stop all."""
        path = self._prefix + name
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return
        if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK | os.W_OK):
            return
        if stat.S_ISDIR(status.st_mode):
            os.rename(path, f"{path}.{clock.new_id()}")
        else:
            os.unlink(path)

    def events(self) -> list[Event]:
        """Return the events that lie here, in the order in which they arrived."""
        return sorted(event for name in self._names() if (event := parse(name)))

    def records(self) -> list[RecordFile]:
        """Return the records that lie here, in the order in which they came."""
        return sorted(file for name in self._names() if (file := record_file.parse(name)))

    def waiting(self, *, with_away: bool = False) -> list[Event | RecordFile]:
        """Return the events and records of this project, in the order in which they came.

        Args:
            with_away: Whether the events of other projects that lie here are among them.
        """
        events = [event for event in self.events() if with_away or not event.is_away]
        return sorted([*events, *self.records()], key=lambda file: file.name)

    def is_empty(self) -> bool:
        """Return whether neither an event nor a record lies here."""
        return not any(parse(name) or record_file.parse(name) for name in self._names())

    def accept(self, tool: str, payload: bytes) -> Event:
        """Put one payload into the spool: it survives a power loss on return.

        Raises:
            CaptureError: It could not be kept.
        """
        name = spool_writer.file_name(tool, True)
        try:
            os.close(spool_writer.keep(str(self.project.root), name, payload))
        except OSError as error:
            raise CaptureError(f"{self.path}: {error.strerror}") from error
        event = parse(name)
        assert event is not None
        return event

    def read(self, event: Event | RecordFile) -> bytes:
        """Return the bytes of an event's file.

        Raises:
            OSError: It is gone, a link, no regular file, or cannot be read.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._prefix + event.name, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            size = status.st_size
            chunks = [os.read(descriptor, size + 1)]
            while chunks[-1]:
                chunks.append(os.read(descriptor, size + 1))
        finally:
            os.close(descriptor)
        return b"".join(chunks)

    def receive(self, name: str, payload: bytes) -> None:
        """Keep an event that another spool gives up: it survives a power loss on return.

        Its unfinished file is never taken for that of a killed hook: all of it is still there.

        Raises:
            OSError: It could not be kept.
        """
        temporary = f".{name}.{clock.new_id()}.tmp"
        os.close(spool_writer.keep(str(self.project.root), name, payload, temporary=temporary))

    def header(self, event: Event) -> str:
        """Return the project's path of an event that lies away from it, else an empty string.

        Raises:
            OSError: It is gone, a link, or cannot be read.
        """
        descriptor = os.open(self._prefix + event.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return split_away(os.read(descriptor, _HEADER_BYTES))[0]
        finally:
            os.close(descriptor)

    def is_file(self, event: Event | RecordFile) -> bool:
        """Return whether an event's name is that of a regular file."""
        try:
            return stat.S_ISREG(os.lstat(self._prefix + event.name).st_mode)
        except OSError:
            return False

    def set_aside(self, event: Event | RecordFile, quarantine: Path) -> None:
        """Move an event's file into the quarantine, where nothing is ever deleted."""
        make_directory(quarantine)
        os.rename(self._prefix + event.name, quarantine / event.name)

    def remove(self, event: Event | RecordFile) -> None:
        """Remove an event that is stored elsewhere."""
        os.unlink(self._prefix + event.name)

    def adopt_abandoned(self) -> None:
        """Make events of the files that killed hooks left behind.

        Such an event was never acknowledged; what is there of it is kept, marked as cut. A record
        is kept if all of it is there: its MAC says so. What was to be moved here is still where it
        was: its file goes.
        """
        for name in self._names():
            path = self._prefix + name
            match = _TEMPORARY.match(name)
            # What cannot be looked at or moved must not hold up the others.
            with suppress(OSError):
                if match is not None:
                    self._adopt(path, match[1])
                elif _UNFINISHED.match(name) and is_abandoned(path):
                    os.unlink(path)

    def _adopt(self, path: str, name: str) -> None:
        event = parse(name)
        if event is None and record_file.parse(name) is None:
            return
        if not is_abandoned(path):
            return
        if event is not None and not event.is_cut:
            name = name.replace(f"_{event.tool}.", f"_{event.tool}.cut.", 1)
        if os.lstat(path).st_size:
            os.rename(path, self._prefix + name)
        else:
            os.unlink(path)

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self.path) as entries:
                yield from (entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return


def counted(files: Sequence[Event | RecordFile]) -> str:
    """Return how many events and records they are, in words."""
    records = sum(isinstance(file, RecordFile) for file in files)
    counts = {"events": len(files) - records, "records": records}
    return " and ".join(f"{count} {word}" for word, count in counts.items() if count)


def split_away(content: bytes) -> tuple[str, bytes]:
    """Return the project's path and the payload of an event that lies away from its project."""
    header, nul, payload = content.partition(b"\0")
    return (os.fsdecode(header), payload) if nul else ("", content)


def home_project() -> Project | None:
    """Return the home directory's project, which takes what a project's own cannot, or None."""
    home = marks.state_home()
    return Project(home) if home else None


def waiting_at_home(project: Project) -> int:
    """Return how many events wait in the home's spool for a project."""
    home = home_project()
    if home is None or marks.is_state(project.khive):
        return 0
    spool = Spool(home)
    return sum(event.is_away and _may_be_for(spool, event, project) for event in spool.events())


def is_anything_waiting(project: Project) -> bool:
    """Return whether a drain of a project has anything to bring in.

    Raises:
        OSError: A spool cannot be read.
    """
    # The home first: what moves meanwhile is in the spool by then.
    return waiting_at_home(project) > 0 or not Spool(project).is_empty()


def home_spool_line(count: int, directory: Path) -> str:
    """Return the line that says how many events of a project wait in the home's spool."""
    return f"{count} events of {directory} wait in the home's spool"


def is_for(project_path: str, project: Project) -> bool:
    """Return whether the path before an event's payload is that of a project, however it is spelt.

    The path that it had before it was moved is its path, too.
    """
    if not project_path:
        return False
    project_path = str(marks.moved_to(Path(project_path)))
    if os.path.realpath(project_path) == os.path.realpath(project.root):
        return True
    try:
        return os.path.samefile(project_path, project.root)
    except (OSError, ValueError):
        return False


def _may_be_for(spool: Spool, event: Event, project: Project) -> bool:
    try:
        return is_for(spool.header(event), project)
    except OSError as error:
        # Nobody's, or moved meanwhile. Where files run out it may well be: the drain says so.
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.EIO)
