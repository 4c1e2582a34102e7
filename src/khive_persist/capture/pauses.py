"""Pauses: the times in which nothing is recorded, of all projects, of one, or of one session.

They stand in the state folder, where no repository can bring any: `pauses/pauses.json` has all that
ever were, as transcripts of those times are not read either. What holds now is said to the hook by
a link of its own (`spool_writer.pause_link`), so that it opens and parses nothing. Where it is of
an earlier version, or the pause is of a session, whose name it does not know, the drainer drops the
event. Whoever keeps one out adds a line to the file of its pause, whose size is the count.

A hook with KHIVE_OFF in its environment adds its line to the file of its session in `pauses/off/`.
"""

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from khive_persist import clock
from khive_persist.capture import spool_writer
from khive_persist.capture.client_recognition import in_our_words
from khive_persist.clock import InstantText
from khive_persist.errors import ProjectError
from khive_persist.files import make_directory, read_regular, write_private
from khive_persist.hints import command_in
from khive_persist.project import Project
from khive_persist.store import codec, session_ids
from khive_persist.store.codec import StoredRow
from khive_persist.store.session_ids import named_in, session_of
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import marks

Scope = Literal["all", "project", "session"]
_Result = TypeVar("_Result")

FILE: Final = "pauses.json"
_LOCK: Final = "pauses.lock"
_LOCK_SECONDS: Final = 10.0
_MOST_BYTES: Final = 8 << 20
# As the hook compares it: after every time that a clock of 64 bits can have.
_NEVER: Final = 10**spool_writer.INSTANT_DIGITS - 1
_LINE_BYTES: Final = spool_writer.INSTANT_DIGITS + 1
# A hook comes after the message that it tells of.
_HOOK_DELAY_NS: Final = 2_000_000_000
_OFF_HERE: Final = f"{spool_writer.OFF} is set: what is started from here is not recorded"


class Pause(NamedTuple):
    """A time in which something is not recorded.

    Attributes:
        scope: Whether it is of all projects, of one, or of one session.
        subject: The project's directory or the session's id; an empty string for all.
        since: The time at which it began.
        until: The time at which it ends or has ended; None for one that `resume` will end.
        unrecorded: The number of events that it has kept out.
    """

    scope: Scope
    subject: str
    since: InstantText
    until: InstantText | None
    unrecorded: int


class PauseStatus(NamedTuple):
    """The pauses of a project.

    Attributes:
        is_paused: Whether none of its events are recorded now.
        pauses: The pauses that hold now, also those of single sessions, the oldest first.
        unrecorded: The number of events that its pauses have kept out, those that ended too.
        unrecorded_off: The number of events of all projects that KHIVE_OFF has kept out.
        problem: The reason why the pauses cannot be read, or an empty string.
    """

    is_paused: bool
    pauses: list[Pause]
    unrecorded: int
    unrecorded_off: int
    problem: str = ""


class Span(NamedTuple):
    """A pause as it is stored: times in nanoseconds since the Unix epoch."""

    scope: Scope
    subject: str
    since_ns: int
    until_ns: int

    def holds(self, instant_ns: int) -> bool:
        """Return whether an instant is in it."""
        return self.since_ns <= instant_ns < self.until_ns

    def is_of(self, project: Project) -> bool:
        """Return whether it is of a project, wherever that lay before, or of all."""
        if self.scope != "project":
            return self.scope == "all"
        return _physical(marks.moved_to(Path(self.subject))) == _physical(project.root)

    def as_pause(self) -> Pause:
        """Return it with the number of events that it has kept out."""
        until = None if self.until_ns == _NEVER else _text(self.until_ns)
        count = _count(_count_path(self.since_ns))
        return Pause(self.scope, self.subject, _text(self.since_ns), until, count)


class ProjectPauses:
    """The pauses of one project, and those of sessions, as of the time when they were read."""

    def __init__(self, project: Project, spans: Iterable[Span]) -> None:
        self._times: list[Span] = []
        self._sessions: dict[str, list[Span]] = {}
        for span in spans:
            if span.scope == "session":
                self._sessions.setdefault(span.subject, []).append(span)
            elif span.is_of(project):
                self._times.append(span)

    @property
    def has_sessions(self) -> bool:
        """Return whether a session was ever paused."""
        return bool(self._sessions)

    def knows_session(self, session_id: str) -> bool:
        """Return whether a session was ever paused."""
        return session_id in self._sessions

    @property
    def is_empty(self) -> bool:
        """Return whether nothing of the project was ever paused."""
        return not (self._times or self._sessions)

    def of_time(self, instant_ns: int) -> Span | None:
        """Return the pause of the project, or of all, that an instant is in."""
        return _first_holding(self._times, instant_ns)

    def of_session(self, session_id: str | None, instant_ns: int) -> Span | None:
        """Return the pause of a session that an instant is in."""
        return _first_holding(self._sessions.get(session_id or "", ()), instant_ns)

    def of_row(self, row: StoredRow, instant_ns: int) -> Span | None:
        """Return the pause of the session that a row is of."""
        return self.of_session(session_of(row), instant_ns) if self._sessions else None

    def of_payload(self, raw: bytes, instant_ns: int) -> Span | None:
        """Return the pause that keeps out what a tool has sent, by its time or its session."""
        span = self.of_time(instant_ns)
        if span is not None or not self._sessions:
            return span
        payload = codec.column(raw)
        if not isinstance(payload, dict):
            return self.of_session(named_in(raw), instant_ns)
        session_id = session_ids.session_id(in_our_words(payload).get("session_id"))
        return self.of_session(session_id, instant_ns)


class CurrentPauses:
    """The pauses of a project, read anew whenever one has begun or ended."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._version: object = None
        self._pauses = ProjectPauses(project, ())

    def get(self) -> ProjectPauses:
        """Return the pauses; raises as `load` does."""
        folder = _folder()
        try:
            status = None if folder is None else os.lstat(folder / FILE)
        except OSError:
            status = None
        version = status and (status.st_ino, status.st_mtime_ns, status.st_size)
        if version != self._version:
            self._pauses, self._version = ProjectPauses(self._project, load()), version
        return self._pauses


def load() -> list[Span]:
    """Return all pauses that ever were, the oldest first.

    Raises:
        ProjectError: Their file is there and cannot be read.
    """
    folder = _folder()
    if folder is None:
        return []
    path = folder / FILE
    try:
        document = json.loads(read_regular(path, _MOST_BYTES))
        return sorted((_span(entry) for entry in document["pauses"]), key=lambda s: s.since_ns)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"{path} cannot be read ({error})", hint="mend it, or move it away to forget all pauses"
        ) from error


def off_sessions() -> list[Span]:
    """Return the sessions whose hooks had KHIVE_OFF in their environment, and when."""
    spans = []
    for name, first_ns, last_ns, _ in _off_files():
        if name != spool_writer.UNKNOWN_SESSION:
            spans.append(Span("session", name, first_ns - _HOOK_DELAY_NS, last_ns + 1))
    return spans


def status(project: Project) -> PauseStatus:
    """Return the pauses of a project that hold now, and what was not recorded."""
    now_ns = time.time_ns()
    unrecorded_off = sum(count for *_, count in _off_files())
    try:
        spans = load()
    except ProjectError as error:
        return PauseStatus(False, [], 0, unrecorded_off, str(error))
    in_force = [span for span in spans if span.holds(now_ns)]
    return PauseStatus(
        is_paused=any(span.is_of(project) for span in in_force),
        pauses=[
            span.as_pause() for span in in_force if span.scope == "session" or span.is_of(project)
        ],
        unrecorded=sum(span.as_pause().unrecorded for span in spans if span.is_of(project)),
        unrecorded_off=unrecorded_off,
    )


def pause(scope: Scope, subject: str = "", *, seconds: float | None = None) -> Pause:
    """Stop recording: from now on, and where it is stopped already, until another time.

    Args:
        scope: Whether it is of all projects, of one, or of one session.
        subject: The project's directory or the session's id.
        seconds: The time until it ends by itself; none for one that `resume` ends.

    Raises:
        ProjectError: No state folder can be written, so that no hook would know of it.
        StoreBusyError: Others held the lock of the pauses for too long.
    """
    now_ns = time.time_ns()
    until_ns = _NEVER if seconds is None else now_ns + int(seconds * 1e9)
    if scope == "project":
        subject = _physical(Path(subject))

    def with_pause(spans: list[Span]) -> tuple[list[Span], Span]:
        for at, span in enumerate(spans):
            if span[:2] == (scope, subject) and span.holds(now_ns):
                spans[at] = span._replace(until_ns=until_ns)
                return spans, spans[at]
        span = Span(scope, subject, now_ns, until_ns)
        return [*spans, span], span

    return _update(with_pause).as_pause()


def resume(scope: Scope | None = None, subject: str = "") -> list[Pause]:
    """Record again: end the pauses that hold now, and return them, the oldest first.

    Args:
        scope: The scope of the pause to end; none for all pauses.
        subject: The project's directory or the session's id.

    Raises:
        ProjectError: As for `pause`.
        StoreBusyError: As for `pause`.
    """
    now_ns = time.time_ns()
    if scope == "project":
        subject = _physical(Path(subject))
    if not any(span.holds(now_ns) for span in load()):
        return []

    def without_pause(spans: list[Span]) -> tuple[list[Span], list[Span]]:
        resumed = []
        for at, span in enumerate(spans):
            if span.holds(now_ns) and scope in (None, span.scope):
                is_named = scope in (None, "all") or span.subject == subject
                if is_named:
                    spans[at] = span._replace(until_ns=now_ns)
                    resumed.append(spans[at])
        return spans, resumed

    return [span.as_pause() for span in _update(without_pause)]


def count_unrecorded(span: Span, arrival_ns: int) -> None:
    """Add an event that a pause has kept out to its count."""
    arrival = f"{arrival_ns:0{spool_writer.INSTANT_DIGITS}d}"
    spool_writer.count_unrecorded(spool_writer.home(), f"/{span.since_ns:020d}", arrival)


def count_off(payload: bytes, arrival_ns: int) -> None:
    """Add an event to the count of its session, whose tool runs where recording is off."""
    arrival = f"{arrival_ns:0{spool_writer.INSTANT_DIGITS}d}"
    name = f"{spool_writer.OFF_FOLDER}/{spool_writer.session_in(payload)}"
    spool_writer.count_unrecorded(spool_writer.home(), name, arrival)


def lines(status: PauseStatus) -> list[str]:
    """Return the lines that say what is not recorded now, and how to record again."""
    return [_line(pause) for pause in status.pauses]


def resuming_command(pause: Pause) -> str:
    """Return the command that ends a pause."""
    if pause.scope == "project":
        return command_in(Path(pause.subject), "resume", "--here")
    id = pause.subject
    # What begins with a dash would be taken for an option.
    of_session = [f"--session={id}"] if id.startswith("-") else ["--session", id]
    of_scope = of_session if pause.scope == "session" else []
    return shlex.join(["khive-persist", "resume", *of_scope])


def environment_lines() -> list[str]:
    """Return the line that says that KHIVE_OFF is set, where it is."""
    return [_OFF_HERE] if spool_writer.is_off() else []


def described(pause: Pause) -> str:
    """Return what a pause is of, in words."""
    match pause.scope:
        case "all":
            return "all projects"
        case "project":
            return pause.subject
    return f"session {pause.subject}"


def _line(pause: Pause) -> str:
    until = "" if pause.until is None else f" until {pause.until[:19]}"
    return (
        f"recording is off for {described(pause)} since {pause.since[:19]}{until}, and"
        f" {pause.unrecorded} events were not recorded: {resuming_command(pause)}"
    )


def _first_holding(spans: Iterable[Span], instant_ns: int) -> Span | None:
    return next((span for span in spans if span.holds(instant_ns)), None)


def _update(update: Callable[[list[Span]], tuple[list[Span], _Result]]) -> _Result:
    """Change the file of the pauses, and what hooks are told, under a lock: synced on return."""
    folder = _folder()
    if folder is None:
        raise ProjectError(
            "no state folder can be written, so that no hook would know of a pause",
            hint=f"set {spool_writer.OFF}=1 where the tool is started, or KHIVE_HOME",
        )
    make_directory(folder.parent)
    make_directory(folder)
    with write_lock.held(folder / _LOCK, _LOCK_SECONDS):
        known_spans = load()
        spans, result = update([*known_spans])
        document = {"pauses": [span._asdict() for span in spans]}
        try:
            write_private(folder / FILE, json.dumps(document, indent=1).encode())
        except OSError as error:
            raise ProjectError(f"{folder / FILE}: {error.strerror}") from error
        _tell_hooks(spans, [span for span in spans if span not in known_spans])
    return result


def _tell_hooks(spans: Iterable[Span], changed_spans: Iterable[Span]) -> None:
    """Make the links that the hook reads, or remove them where pauses have ended.

    Where that fails, or a crash comes between, the drainer drops what the hook keeps.
    """
    state = spool_writer.home()
    now_ns = time.time_ns()
    in_force = [span for span in spans if span.holds(now_ns) and span.scope != "session"]
    with suppress(OSError):
        for span in changed_spans:
            if span.scope == "project":
                _link(state, span.subject, _link_text(span) if span in in_force else "")
        of_all = [_link_text(span) for span in in_force if span.scope == "all"]
        _link(state, "", of_all[0] if of_all else "projects" if in_force else "")


def _link(state: str, project: str, text: str) -> None:
    link = Path(spool_writer.pause_link(state, project))
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    link.unlink(missing_ok=True)
    if text:
        link.symlink_to(text)


def _link_text(span: Span) -> str:
    return f"{span.since_ns:020d}_{span.until_ns:020d}"


def _span(entry: Any) -> Span:
    scope = entry["scope"]
    if scope not in ("all", "project", "session"):
        raise ValueError(f"no scope {scope!r}")
    return Span(scope, str(entry["subject"]), int(entry["since_ns"]), int(entry["until_ns"]))


def _folder() -> Path | None:
    state = marks.state_folder()
    return None if state is None else Path(f"{state}{spool_writer.PAUSES}")


def _count_path(since_ns: int) -> Path | None:
    folder = _folder()
    return None if folder is None else folder / f"{since_ns:020d}"


def _count(path: Path | None) -> int:
    try:
        return 0 if path is None else os.lstat(path).st_size // _LINE_BYTES
    except OSError:
        return 0


def _off_files() -> Iterator[tuple[str, int, int, int]]:
    """Yield the sessions that KHIVE_OFF has kept out: id, first and last arrival, events."""
    folder = _folder()
    if folder is None:
        return
    sessions = Path(f"{folder}{spool_writer.OFF_FOLDER}")
    try:
        names = sorted(os.listdir(sessions))
    except OSError:
        return
    for name in names:
        try:
            with open(sessions / name, "rb") as file:
                first = int(file.read(_LINE_BYTES))
                size = os.fstat(file.fileno()).st_size // _LINE_BYTES * _LINE_BYTES
                file.seek(size - _LINE_BYTES)
                last = int(file.read(_LINE_BYTES))
        except (OSError, ValueError):
            continue
        yield name, first, last, size // _LINE_BYTES


def _physical(directory: Path) -> str:
    return os.path.realpath(directory)


def _text(instant_ns: int) -> str:
    return clock.to_text(clock.from_ns(instant_ns))
