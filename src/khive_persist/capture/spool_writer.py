"""Take one event in: from the hook's stdin into a spool file, then exit.

Exit 0: the event is on the disk, synced, and survives a kill and a power loss. Nothing is printed,
but for one line on stderr where a named directory may not take it and the home's spool did.
Exit 1, with one line on stderr: it is not kept, or not yet known to be on the disk. No other code,
nothing on stdout, two seconds at most: stdout can enter the model's context, and a code of 2 or
more blocks the user's tool. Where the command that runs this ends in 0 whatever happens, the line
is not seen: what was lost, or may have been, is noted in the state folder, and a hook that is run
with `--tell-lost` says so, with exit 1, as soon as it can. With `--exit-zero` the code is 0
whatever happens, as where no shell can see to that. With `--fallback` an empty stdin is no event
and exit 1: the hook that was run before has taken it.

Where recording is off nothing is kept, with exit 0 and in silence: KHIVE_OFF in the environment says
so, or a link of the state folder, of all projects or of this one. No `.khive` of a project can. What
is not recorded is counted there.

Which `.khive` is trusted is decided here, for the commands and the library too: the text of the
symbolic link `.khive/id` stands in that of `marks/<physical path of .khive>` in the user's state
folder, and the effective user owns `.khive`. Nothing is opened, hashed or parsed for it.

The programs of `native/` keep to the same contract, in C, and the tests run over both.

Every import costs the agent time on every event. So this file uses only modules that are compiled
into the interpreter (`posix` is what `os` wraps), parses no JSON and imports nothing of ours; the
drainer does the rest.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import posix
import sys
from time import monotonic, time_ns

# The list of all tools: what each is, is in the folder of its name in tools/.
TOOLS = (
    "claude-code", "codex", "gemini-cli", "copilot-cli", "opencode", "kilo", "pi", "cline",
    "qwen-code", "droid", "kimi-code", "cursor",
)  # fmt: skip
PROJECT_VARIABLES = {
    "claude-code": b"CLAUDE_PROJECT_DIR", "gemini-cli": b"GEMINI_PROJECT_DIR",
    "copilot-cli": b"COPILOT_PROJECT_DIR", "qwen-code": b"QWEN_PROJECT_DIR",
    "droid": b"DROID_PROJECT_DIR", "cursor": b"CURSOR_PROJECT_DIR",
}  # fmt: skip
# Who runs Claude Code's hooks besides, by the environment; the payload can say better.
CLIENTS = ((b"COPILOT_CLI", "copilot-cli"), (b"CURSOR_", "cursor"), (b"GROK_", "grok-build"))
TELL_LOST = "--tell-lost"
EXIT_ZERO = "--exit-zero"
FALLBACK = "--fallback"
LOST = "/lost"
OFF = "KHIVE_OFF"
PAUSES = "/pauses"
OFF_FOLDER = "/off"
INSTANT_DIGITS = 20
# What clients call a session's id, where nothing is parsed.
SESSION_NAMES = (
    "session_id", "sessionId", "sessionID", "conversation_id", "conversationId", "taskId",
    "thread_id", "threadId",
)  # fmt: skip
SESSION_CHARACTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MOST_SESSION_CHARACTERS = 200
UNKNOWN_SESSION = "unknown.session"
BLANKS = b" \t\r\n"
# What a link there says of its event.
NOT_KEPT = "-"
NOT_KNOWN = "?"
# Of more there would be no time to tell, once they are taken away.
MOST_TOLD = 10_000
READ_SECONDS = 1.3
ALL_SECONDS = 1.9
READ_BYTES = 1 << 20
MAX_BYTES = 64 << 20
DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
APPEND = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_NOFOLLOW | posix.O_CLOEXEC
WAKE = "wake"
WAKING = posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_CLOEXEC
# What the drainer may need of the environment. The rest can hold keys: it is not handed on.
DRAINER_VARIABLES = (b"HOME", b"KHIVE_HOME", b"KHIVE_DIR", b"PATH", b"LD_LIBRARY_PATH", b"TMPDIR")
# A mark's text is hexadecimal digits, those of several homes' `.khive` at one path after another.
MARK_DIGITS = 32
MARKS_OF_A_PATH = 8
FORMAT = 0o170000
IS_DIRECTORY = 0o040000
IS_PIPE = 0o010000


class Refusal(Exception):
    """Why this event is not kept, in a few words."""


class Unsure(OSError):
    """The bytes of this event are on the disk, and its name may not be."""


class Late(Exception):
    """The time allowed is over."""


class Taken(Exception):
    """Another hook has read this event."""


class Paused(Exception):
    """Recording is off for this event."""


def text(raw: bytes) -> str:
    return raw.decode(sys.getfilesystemencoding(), "surrogateescape")


def arguments(words: list[str]) -> tuple[str, str]:
    """Return `--tool` and `--dir` of a command line."""
    options = {"--tool": "", "--dir": ""}
    words = list(words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in (TELL_LOST, EXIT_ZERO, FALLBACK):
            continue
        if name not in options or not (equals or words):
            raise Refusal("usage: khive-hook --tool %s [--dir DIR] < payload" % "|".join(TOOLS))
        options[name] = value if equals else words.pop(0)
    if options["--tool"] not in TOOLS:
        raise Refusal("--tool %s is none of %s" % (options["--tool"], ", ".join(TOOLS)))
    return options["--tool"], options["--dir"]


def khive_of(directory: str) -> str:
    return directory.rstrip("/") + "/.khive"


def home() -> str:
    """Return the directory whose `.khive` is the user's state folder; an empty string without any.

    It is KHIVE_HOME, else HOME, else the passwd entry, where HOME is another user's, as under sudo,
    or nothing can be made there.
    """
    me = posix.geteuid()
    khive_home = text(posix.environ.get(b"KHIVE_HOME", b""))
    if khive_home:
        return usable(khive_home, me) or ""
    directory = usable(text(posix.environ.get(b"HOME", b"")), me)
    if directory is None:
        directory = usable(passwd_home(me), me)
    return directory or ""


def usable(directory: str, user: int) -> str | None:
    """Return a home whose `.khive` is this user's and can be written, or made.

    It is an empty string where something of the user's own is in the way, None where it is no home.
    """
    if not directory.startswith("/"):
        return None
    khive = khive_of(directory)
    try:
        status = posix.lstat(khive)
    except FileNotFoundError:
        return directory if posix.access(directory, posix.W_OK | posix.X_OK) else None
    except OSError:
        return None
    if status.st_uid != user:
        return None
    is_writable = is_own(status, user) and posix.access(khive, posix.W_OK | posix.X_OK)
    return directory if is_writable else ""


def passwd_home(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_dir
    except KeyError:
        return ""


def is_own(status: posix.stat_result, user: int) -> bool:
    return status.st_uid == user and status.st_mode & FORMAT == IS_DIRECTORY


def is_trusted(khive: str, state: str) -> bool:
    """Return whether a `.khive` is marked as this user's, who is known to own it.

    Args:
        khive: The physical path of `.khive`.
        state: The directory that `home` returns.
    """
    try:
        mark = posix.readlink(khive_of(state) + "/marks" + khive)
        return own_digits(posix.readlink(khive + "/id"), mark) != ""
    except OSError:
        return False


def own_digits(id: str, mark: str) -> str:
    """Return this user's digits of an id, to which each home that knows the project adds some."""
    for digits in id.split("-"):
        if len(digits) == MARK_DIGITS and digits in mark:
            return digits
    return ""


def mark(khive: str, state: str, parents: list[int], others: str = "") -> None:
    """Mark a `.khive` that has no id as this user's.

    Args:
        khive: The physical path of `.khive`.
        state: The directory that `home` returns.
        parents: The folders whose names are still to be synced: those of the mark are added.
        others: The digits of other home directories, each with a hyphen after it.

    Raises:
        OSError: It cannot be marked, or somebody else marks it.
    """
    digits = posix.urandom(MARK_DIGITS // 2).hex()
    path = khive_of(state)
    for name in ("marks" + khive.rpartition("/")[0]).split("/"):
        path += "/" + name if name else ""
        try:
            posix.mkdir(path, 0o700)
        except FileExistsError:
            continue
        parents.append(posix.open(path + "/..", DIRECTORY))
    parents.append(posix.open(path, DIRECTORY))
    path += khive[khive.rindex("/") :]
    try:
        marks = [digits, *posix.readlink(path).split("-")[: MARKS_OF_A_PATH - 1]]
    except OSError:
        marks = [digits]
    posix.symlink("-".join(marks), path + "." + digits)
    posix.rename(path + "." + digits, path)
    posix.symlink(others + digits, khive + "/id")


def absolute(path: str) -> str:
    return path if path.startswith("/") else posix.getcwd() + "/" + path


def physical(path: str) -> str:
    """Return a directory's path without links; the working directory is there afterwards."""
    path = absolute(path)
    try:
        posix.chdir(path)
        return posix.getcwd()
    except OSError:
        return path


def search(at: str, state: str) -> tuple[str, str]:
    """Look upward for the directory whose `.khive` takes what is recorded.

    A `.khive` that is not trusted is passed over: the next trusted one above takes it, then the
    state folder's. One of another user is none of ours.

    Args:
        at: The physical path of the directory to begin with.
        state: The directory that `home` returns.

    Returns:
        The directory that takes it, or an empty string, and the nearest that was passed over, or
        the same once more.
    """
    me = posix.geteuid()
    passed = ""
    try:
        of_state = posix.lstat(khive_of(state))
    except OSError:
        of_state = None
    while True:
        khive = khive_of(at)
        try:
            status = posix.lstat(khive)
        except OSError:
            pass
        else:
            if of_state and (status.st_ino, status.st_dev) == (of_state.st_ino, of_state.st_dev):
                break
            if status.st_uid == me:
                if is_own(status, me) and is_trusted(khive, state):
                    return at, passed or at
                passed = passed or at
        if at == "/":
            break
        at = at.rpartition("/")[0] or "/"
    return state, passed or state


def accepts(project: str, state: str, is_meant: bool) -> bool:
    """Return whether a named directory takes what is recorded: one without `.khive` gets one.

    Args:
        project: The directory's physical path.
        state: The directory that `home` returns.
        is_meant: Whether the person meant it; else it has to be marked, where marks can be kept.
    """
    khive = khive_of(project)
    try:
        status = posix.lstat(khive)
    except OSError:
        return True
    if not is_own(status, posix.geteuid()):
        return False
    if is_meant or not state or is_trusted(khive, state):
        return True
    try:
        of_state = posix.lstat(khive_of(state))
    except OSError:
        return False
    return (status.st_ino, status.st_dev) == (of_state.st_ino, of_state.st_dev)


def choose(directory: str, tool: str, state: str) -> tuple[str, str]:
    """Return the directory whose spool takes an event, and the one that it is meant for.

    `directory`, which only names, comes first, then KHIVE_DIR, which is meant. Else it is looked
    for upward from the tool's project variable or the working directory.
    """
    khive_dir = text(posix.environ.get(b"KHIVE_DIR", b""))
    if directory or khive_dir:
        project = physical(directory or khive_dir)
        return (project if accepts(project, state, not directory) else state), project
    start = text(posix.environ.get(PROJECT_VARIABLES.get(tool, b""), b""))
    try:
        return search(physical(start or "."), state)
    except FileNotFoundError:
        return state, state


def is_off() -> bool:
    """Return whether the environment says that nothing is recorded."""
    return posix.environ.get(OFF.encode(), b"") not in (b"", b"0")


def pause_link(state: str, project: str = "") -> str:
    """Return the path of the link that says since and until when a project, or all, is paused."""
    khive = khive_of(state)
    return khive + "/marks" + project + "/.paused" if project else khive + PAUSES + "/all"


def paused_since(link: str, arrival: str) -> str:
    """Return when a pause began that holds at an arrival, or an empty string.

    Times are so many digits, as in the name of a spool file: nothing is parsed.
    """
    try:
        since, _, until = posix.readlink(link).partition("_")
    except OSError:
        return ""
    digits = since + until
    is_pause = len(since) == len(until) == INSTANT_DIGITS and digits.isascii() and digits.isdigit()
    return since if is_pause and since <= arrival < until else ""


def refuse_paused(state: str, taker: str, project: str, arrival: str) -> None:
    """Raise Paused, and count the event, where a pause holds of all, or of who takes an event."""
    if not state:
        return
    links = [pause_link(state), pause_link(state, taker)]
    if project != taker:
        links.append(pause_link(state, project))
    for link in links:
        since = paused_since(link, arrival)
        if since:
            count_unrecorded(state, "/" + since, arrival)
            raise Paused


def refuse_off(payload: bytes) -> None:
    """Raise Paused, and count the event for its session, where the environment says so."""
    if is_off():
        name = OFF_FOLDER + "/" + session_in(payload)
        count_unrecorded(home(), name, "%0*d" % (INSTANT_DIGITS, time_ns()))
        raise Paused


def session_in(payload: bytes) -> str:
    """Return the session that a payload names, as far as that can be told without parsing it."""
    for name in SESSION_NAMES:
        key = b'"%s"' % name.encode()
        at = payload.find(key)
        if at < 0:
            continue
        begin = at + len(key)
        value = payload[begin : begin + MOST_SESSION_CHARACTERS].lstrip(BLANKS)
        value = value[1:].lstrip(BLANKS) if value[:1] == b":" else b""
        session, quote, _ = value[1:].partition(b'"')
        is_text = value[:1] == b'"' and quote
        if is_text and session and not session.strip(SESSION_CHARACTERS):
            return session.decode()
    return UNKNOWN_SESSION


def count_unrecorded(state: str, name: str, arrival: str) -> None:
    """Add an event that is not recorded to a file below `pauses`, whose size is their count."""
    folder = khive_of(state) + PAUSES
    try:
        if not state:
            return
        try:
            file = posix.open(folder + name, APPEND, 0o600)
        except FileNotFoundError:
            for path in (folder, folder + OFF_FOLDER):
                try:
                    posix.mkdir(path, 0o700)
                except FileExistsError:
                    pass
            file = posix.open(folder + name, APPEND, 0o600)
        posix.write(file, arrival.encode() + b"\n")
        posix.close(file)
    except OSError:
        # It is not recorded all the same.
        pass


def read_payload() -> tuple[bytes, bool]:
    """Return stdin's bytes, and whether they are all of it."""
    chunks: list[bytes] = []
    size = 0
    try:
        _signal.setitimer(_signal.ITIMER_REAL, READ_SECONDS)
        while size <= MAX_BYTES:
            chunk = posix.read(0, min(READ_BYTES, MAX_BYTES + 1 - size))
            if not chunk:
                return b"".join(chunks), True
            chunks.append(chunk)
            size += len(chunk)
    except (Late, OSError):
        # A stalled or closed stdin: what did come is kept, marked as cut.
        pass
    return b"".join(chunks), False


def client(environment: dict[bytes, bytes]) -> str:
    """Return which client runs Claude Code's hooks in its place, as the environment tells."""
    for name in environment:
        for start, word in CLIENTS:
            if name.startswith(start):
                return word
    return ""


def file_name(tool: str, complete: bool, by: str = "") -> str:
    """Return a spool file's name: arrival in ns, the event's id (a UUID version 7), tool, marks."""
    arrival = time_ns()
    bits = int.from_bytes(posix.urandom(10), "big") & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62
    h = "%012x%020x" % (arrival // 1000000, bits)
    mark = "" if complete else ".cut"
    mark += ".by-" + by if by else ""
    return "%020d_%s-%s-%s-%s-%s_%s%s.event" % (
        arrival, h[:8], h[8:12], h[12:16], h[16:20], h[20:], tool, mark,
    )  # fmt: skip


def open_private(path: str, at: int | None = None) -> int:
    """Open a directory that is ours and no link; make it, durably, where it is missing."""
    parents: list[int] = []
    directory = opened_or_made(path, at, parents)
    for parent in parents:
        posix.fsync(parent)
        posix.close(parent)
    return directory


def opened_or_made(path: str, at: int | None, parents: list[int]) -> int:
    """Open or make a directory; add the parent of one that is made to those to be synced."""
    try:
        return posix.open(path, DIRECTORY, dir_fd=at)
    except FileNotFoundError:
        pass
    try:
        posix.mkdir(path, 0o700, dir_fd=at)
    except FileExistsError:
        return posix.open(path, DIRECTORY, dir_fd=at)
    parents.append(posix.open("." if at is not None else path + "/..", DIRECTORY, dir_fd=at))
    return posix.open(path, DIRECTORY, dir_fd=at)


def open_spool(project: str, state: str, parents: list[int]) -> int:
    """Open the spool of a directory; make it where it is missing, and mark a new `.khive`.

    Args:
        project: The directory; its physical path where `state` is named.
        state: The directory that `home` returns, or an empty string where no mark is wanted.
        parents: The folders to be synced once the event is written: those of the spool are added.
    """
    khive = opened_or_made(khive_of(project), None, parents)
    if parents and state and state != project:
        try:
            mark(khive_of(project), state, parents)
        except OSError:
            # It is used all the same where it is named, and doctor says that it has no mark.
            pass
    spool = opened_or_made("spool", khive, parents)
    posix.close(khive)
    return spool


class Watch:
    """Answer for a disk that takes longer than the deadline.

    A thread of its own waits, as nothing interrupts a sync. When time is over, a child goes on, and
    the process ends, as far as the kernel lets go of it: the child gives what is written its name,
    or begins anew with what was read, under the same name.
    """

    def __init__(self, seconds: float, event: tuple[str, str, str, bytes]) -> None:
        self.khive = "looking for .khive"
        self.event = event
        try:
            self.began_in = posix.getcwd()
        except OSError:
            self.began_in = "/"
        self.begun: tuple[int, str] | None = None
        self.written: tuple[int, int, str, str, list[int]] | None = None
        self.answer = _thread.allocate_lock()
        self.end = _thread.allocate_lock()
        self.end.acquire()
        try:
            _thread.start_new_thread(self.wait, (seconds,))
        except RuntimeError:
            # No thread is to be had: the disk is waited for.
            pass

    def wait(self, seconds: float) -> None:
        if self.end.acquire(True, max(seconds, 0.01)):
            return
        if not self.answer.acquire(False):
            # It is kept, and its drainer takes long to be started.
            posix._exit(0)
        try:
            if not posix.fork():
                self.finish()
            outcome = "not yet known to be on the disk"
        except OSError:
            outcome = "not kept"
        complain("event %s: %s takes too long" % (outcome, self.khive))
        posix._exit(EXIT_ZERO not in sys.argv)

    def finish(self) -> None:
        """Go on in a child, for as long as it takes; the tool does not wait for its streams.

        Nobody may have seen the line. So a note says that it is not known what became of the event,
        until it is.
        """
        note = ""
        try:
            posix.setsid()
            nothing = posix.open("/dev/null", posix.O_RDWR)
            for stream in (0, 1, 2):
                posix.dup2(nothing, stream)
            if TELL_LOST not in sys.argv:
                note = note_lost(NOT_KNOWN)
            self.go_on()
            forget(note)
        except Unsure:
            pass
        except Paused:
            forget(note)
        except BaseException:  # Whatever it is: it is not kept, and somebody has to be told.
            forget(note)
            note_lost()
        posix._exit(0)

    def go_on(self) -> None:
        if self.written:
            try:
                settle(*self.written)
            except Unsure:
                raise
            except OSError:
                # Not there: then where there is room for it.
                pass
            else:
                return
        if self.begun:
            spool, temporary = self.begun
            try:
                posix.unlink(temporary, dir_fd=spool)
            except OSError:
                pass
        posix.chdir(self.began_in)
        put(*self.event)


def settle(spool: int, file: int, temporary: str, name: str, parents: list[int]) -> None:
    """Sync a file that is written, give it its name, and sync that."""
    posix.fsync(file)
    try:
        try:
            posix.rename(temporary, name, src_dir_fd=spool, dst_dir_fd=spool)
        except FileNotFoundError:
            # The one that was late had come so far.
            posix.stat(name, dir_fd=spool)
        posix.fsync(spool)
        for parent in parents:
            posix.fsync(parent)
            posix.close(parent)
    except OSError as error:
        raise Unsure(reason(error)) from None


def keep(
    project: str,
    name: str,
    payload: bytes,
    state: str = "",
    watch: Watch | None = None,
    temporary: str = "",
) -> int:
    """Write one spool file; on return it survives a power loss. Returns the open spool.

    What is synced is never removed: where its name cannot be made durable, a drain finds it.
    """
    parents: list[int] = []
    spool = open_spool(project, state, parents)
    temporary = temporary or ".%s.tmp" % name
    file = -1
    try:
        file = posix.open(temporary, CREATE, 0o600, dir_fd=spool)
        if watch:
            watch.begun = spool, temporary
        remaining = memoryview(payload)
        while remaining:
            remaining = remaining[posix.write(file, remaining) :]
        if watch:
            watch.written = spool, file, temporary, name, parents
        settle(spool, file, temporary, name, parents)
        posix.close(file)
    except BaseException as error:
        if not isinstance(error, Unsure):
            if watch:
                watch.written = None
            try:
                if file >= 0:
                    posix.unlink(temporary, dir_fd=spool)
            except OSError:
                pass
        if not watch:
            # No hook, which would end: a program goes on.
            for descriptor in (file, spool):
                if descriptor >= 0:
                    posix.close(descriptor)
        raise
    return spool


def open_wake(spool: int) -> int:
    """Open the pipe that wakes the drainer for reading and writing; make it where it is missing.

    Whatever else stands in its place goes: nobody would ever be woken.

    Raises:
        OSError: It cannot be made or opened.
    """
    for is_last in (False, True):
        try:
            posix.mkfifo(WAKE, 0o600, dir_fd=spool)
        except FileExistsError:
            pass
        try:
            pipe = posix.open(WAKE, posix.O_RDWR | WAKING, dir_fd=spool)
        except OSError:
            status = posix.stat(WAKE, dir_fd=spool, follow_symlinks=False)
            is_ours = status.st_uid == posix.geteuid() and posix.access(
                WAKE, posix.R_OK | posix.W_OK, dir_fd=spool
            )
            if is_last or (is_ours and status.st_mode & FORMAT == IS_PIPE):
                raise
        else:
            if is_last or posix.fstat(pipe).st_mode & FORMAT == IS_PIPE:
                return pipe
            posix.close(pipe)
        try:
            posix.unlink(WAKE, dir_fd=spool)
        except OSError:
            # A folder: doctor names it.
            posix.rename(WAKE, "%s.%d" % (WAKE, time_ns()), src_dir_fd=spool, dst_dir_fd=spool)
    raise AssertionError


def wake_drainer(project: str, spool: int) -> None:
    """Wake the drainer that listens at the spool, or start one.

    The pipe has a reader exactly while a drainer runs: opening it for writing fails otherwise. The
    first hook opens its reading end and hands it to the drainer that it starts, so that the hooks
    after it start no second one.
    """
    try:
        pipe = posix.open(WAKE, posix.O_WRONLY | WAKING, dir_fd=spool)
    except OSError:
        pass
    else:
        try:
            if posix.fstat(pipe).st_mode & FORMAT == IS_PIPE:
                posix.write(pipe, b"\n")
                return
        except BlockingIOError:
            # It is full: whoever reads it is awake.
            return
        except BrokenPipeError:
            # The drainer has ended since the pipe was opened.
            pass
        finally:
            posix.close(pipe)
    pipe = open_wake(spool)
    posix.set_inheritable(pipe, True)
    environment = {name: posix.environ[name] for name in DRAINER_VARIABLES if name in posix.environ}
    nothing = [(posix.POSIX_SPAWN_OPEN, fd, "/dev/null", posix.O_RDWR, 0) for fd in (0, 1, 2)]
    program = drainer_program()
    posix.posix_spawn(
        program,
        [program, "-E", "-P", "-m", "khive_persist.capture.drainer", project, str(pipe)],
        environment,
        file_actions=nothing,
        setsid=True,
    )


def drainer_program() -> str:
    """Return the interpreter that has khive-persist: beside a copy of this file a link names it."""
    try:
        return posix.readlink(__file__.rpartition("/")[0] + "/python")
    except OSError:
        return sys.executable


def record(tool: str, directory: str) -> None:
    """Read one payload and keep it: in the project's spool, else in the home directory's."""
    began = monotonic()
    payload, complete = read_payload()
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    if not payload and FALLBACK in sys.argv:
        raise Taken
    refuse_off(payload)
    # What reading has left over: a disk that many write to can take its time to sync.
    seconds_left = ALL_SECONDS - min(monotonic() - began, READ_SECONDS)
    name = file_name(tool, complete, client(posix.environ) if tool == TOOLS[0] else "")
    watch = Watch(seconds_left, (tool, directory, name, payload))
    spool, taker, project = put(tool, directory, name, payload, watch)
    if not watch.answer.acquire(False):
        # The watch was first; it ends the process.
        watch.end.acquire()
    if project and directory:
        complain(
            "%s is not trusted; the event waits in %s/spool: khive-persist --dir %s trust"
            % (khive_of(project), khive_of(taker), project)
        )
    try:
        wake_drainer(taker, spool)
    except OSError:
        # The event is kept; the next hook, or the next reader, drains it.
        pass


def put(
    tool: str, directory: str, name: str, payload: bytes, watch: Watch | None = None
) -> tuple[int, str, str]:
    """Keep one payload, under a name.

    Returns:
        The spool that took it, open; its directory; and that of the project that it is meant for
        and that is not trusted, or an empty string.

    Raises:
        Paused: Nothing is to be recorded of it.
    """
    state = home()
    taker, project = choose(directory, tool, state)
    refuse_paused(state, taker, project, name[:INSTANT_DIGITS])
    if watch:
        watch.khive = khive_of(taker)
    if not taker:
        raise Refusal(
            "%s is not trusted, and there is no home to keep it in: set KHIVE_DIR or KHIVE_HOME"
            % khive_of(project)
        )
    is_away = taker == state != project
    try:
        if is_away:
            spool = keep_away(state, project, name, payload, watch)
        else:
            spool = keep(taker, name, payload, state, watch)
    except Unsure:
        raise
    except (OSError, ValueError) as error:
        if not state or taker == state:
            raise Refusal("%s: %s" % (khive_of(taker), reason(error))) from None
        try:
            spool, taker = keep_away(state, taker, name, payload, watch), state
        except Unsure:
            raise
        except (OSError, ValueError) as second:
            raise Refusal(
                "%s: %s; %s: %s" % (khive_of(taker), reason(error), khive_of(state), reason(second))
            ) from None
    return spool, taker, project if is_away else ""


def keep_away(state: str, project: str, name: str, payload: bytes, watch: Watch | None) -> int:
    """Write one file into the home's spool, for another project, whose path stands before it."""
    header = project.encode(sys.getfilesystemencoding(), "surrogateescape") + b"\0"
    return keep(state, name.removesuffix(".event") + ".away", header + payload, "", watch)


def note_lost(status: str = NOT_KEPT) -> str:
    """Note in the state folder that an event was not kept, or that this is not known.

    Returns:
        The note's path: a link, as it takes no room of a full disk; an empty string where it cannot
        be made, as where nothing can be written at all: the line is all there is.
    """
    try:
        folder = khive_of(home()) + LOST
        try:
            posix.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        note = "%s/%020d-%s" % (folder, time_ns(), posix.urandom(4).hex())
        posix.symlink(status, note)
    except OSError:
        return ""
    return note


def forget(note: str) -> None:
    """Take a note away, if somebody has not told of it meanwhile."""
    try:
        posix.unlink(note)
    except OSError:
        pass


def tell_lost() -> int:
    """Say how many events before this one were not kept; return the exit code for the line."""
    try:
        folder = khive_of(home()) + LOST
        names = posix.listdir(folder)
    except OSError:
        return 0
    statuses: list[str] = []
    for name in names:
        if len(statuses) == MOST_TOLD:
            break
        try:
            status = posix.readlink(folder + "/" + name)
            posix.unlink(folder + "/" + name)
            statuses.append(status)
        except OSError:
            # Another hook tells of it, or it has come to the disk.
            pass
    if not statuses:
        return 0
    unknown = statuses.count(NOT_KNOWN)
    lost_text = (
        "%d before it were not" % (len(statuses) - unknown) if unknown < len(statuses) else ""
    )
    unknown_text = "of %d it is not yet known: the disk takes too long" % unknown if unknown else ""
    parts = ", ".join(part for part in (lost_text, unknown_text) if part)
    complain("this event is kept; %s: khive-persist doctor" % parts)
    return 1


def complain(message: str) -> None:
    line = ("khive-hook: " + message).replace("\n", " ")[:500] + "\n"
    try:
        posix.write(2, line.encode("utf-8", "replace"))
    except OSError:
        pass


def reason(error: BaseException) -> str:
    """Return why something failed, in a few words."""
    return getattr(error, "strerror", "") or str(error) or type(error).__name__


def fill_streams() -> None:
    """See that no file of ours takes the number of a closed stream: the line would go into it.

    Reading from what stands in for stdin fails as before.
    """
    for stream in (0, 1, 2):
        try:
            posix.fstat(stream)
        except OSError:
            posix.open("/dev/null", posix.O_WRONLY)


def ring(*_: object) -> None:
    raise Late("took too long")


def leave_group() -> None:
    """Be out of reach of a client that ends the process group of a hook it does not wait for.

    Kimi Code does so within 200 ms of a call's end. In front of a terminal a group of its own could
    not read from it.
    """
    try:
        if not posix.isatty(0):
            posix.setpgid(0, 0)
    except OSError:
        # It leads a session: it has a group of its own.
        pass


def main() -> None:
    code = 0
    is_meant = False
    try:
        leave_group()
        _signal.signal(_signal.SIGALRM, ring)
        # Who blocks it hands that on: nothing would ever end a stalled stdin.
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGALRM,))
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
        posix.umask(0o077)
        fill_streams()
        tool, directory = arguments(sys.argv[1:])
        is_meant = True
        record(tool, directory)
        if TELL_LOST in sys.argv:
            code = tell_lost()
    except Taken:
        code = 1
    except Paused:
        pass
    except BaseException as error:  # Whatever it is, the agent's tool must go on.
        code = 1
        if is_meant and TELL_LOST not in sys.argv:
            note_lost(NOT_KNOWN if isinstance(error, Unsure) else NOT_KEPT)
        outcome = "not yet known to be on the disk" if isinstance(error, Unsure) else "not kept"
        complain("event %s: %s" % (outcome, reason(error)))
    # Tearing the interpreter down would cost a seventh of the whole run, and nothing is left to do.
    posix._exit(0 if EXIT_ZERO in sys.argv else code)
