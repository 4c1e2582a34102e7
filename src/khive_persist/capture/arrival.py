"""How an event arrives: the hook's stdin, one spool file, exit.

Exit 0, in silence: the event is on the disk, synced, and survives a kill and a power loss.
Exit 1, with one line on stderr: it is not. No other code, nothing on stdout, two seconds at most:
stdout can enter the model's context, and a code of 2 or more blocks the user's tool.

Every import costs the agent time on every event. So this file uses only modules that are compiled
into the interpreter (`posix` is what `os` wraps), parses no JSON and imports nothing of ours; the
drainer does the rest.
"""

import _signal  # type: ignore[import-not-found]
import posix
import sys
from time import monotonic, time_ns

TOOLS = ("claude-code", "codex", "gemini-cli")
PROJECT_VARIABLES = {"claude-code": b"CLAUDE_PROJECT_DIR", "gemini-cli": b"GEMINI_PROJECT_DIR"}
READ_SECONDS = 1.3
ALL_SECONDS = 1.9
READ_BYTES = 1 << 20
MAX_BYTES = 64 << 20
DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
WAKE = "wake"
# What the drainer may need of the environment. The rest can hold keys: it is not handed on.
DRAINER_VARIABLES = (b"HOME", b"PATH", b"LD_LIBRARY_PATH", b"TMPDIR")


class Refusal(Exception):
    """Why this event is not kept, in a few words."""


class Late(Exception):
    """The time allowed is over."""


def text(raw: bytes) -> str:
    return raw.decode(sys.getfilesystemencoding(), "surrogateescape")


def arguments(words: list[str]) -> tuple[str, str]:
    """`--tool` and `--dir` of a command line."""
    options = {"--tool": "", "--dir": ""}
    words = list(words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name not in options or not (equals or words):
            raise Refusal("usage: khive-hook --tool %s [--dir DIR] < payload" % "|".join(TOOLS))
        options[name] = value if equals else words.pop(0)
    if options["--tool"] not in TOOLS:
        raise Refusal("--tool %r is none of %s" % (options["--tool"], ", ".join(TOOLS)))
    return options["--tool"], options["--dir"]


def home() -> str:
    """The home directory, or an empty string."""
    return text(posix.environ.get(b"HOME", b""))


def absolute(path: str) -> str:
    return path if path.startswith("/") else posix.getcwd() + "/" + path


def find_project(directory: str = "", tool: str = "") -> str:
    """The directory whose `.khive` is meant: named, or found upward, or home.

    `directory`, then KHIVE_DIR, name it. Else it is looked for upward from the tool's project
    variable or the working directory. A `.khive` of another user is passed over, as it would hand
    that user what this one types; root takes any, since in containers files have many owners.
    """
    named = directory or text(posix.environ.get(b"KHIVE_DIR", b""))
    if named:
        return absolute(named)
    start = text(posix.environ.get(PROJECT_VARIABLES.get(tool, b""), b""))
    try:
        at = absolute(start or ".").rstrip("/").removesuffix("/.")
    except FileNotFoundError:
        return home()
    me = posix.geteuid()
    while True:
        try:
            if posix.lstat(at + "/.khive").st_uid == me or me == 0:
                return at or "/"
        except OSError:
            pass
        if not at:
            return home()
        at = at.rpartition("/")[0]


def read_payload() -> tuple[bytes, bool]:
    """stdin's bytes, and whether they are all of it."""
    chunks: list[bytes] = []
    size = 0
    try:
        _signal.setitimer(_signal.ITIMER_REAL, READ_SECONDS)
        while size <= MAX_BYTES:
            chunk = posix.read(0, READ_BYTES)
            if not chunk:
                return b"".join(chunks), True
            chunks.append(chunk)
            size += len(chunk)
    except (Late, OSError):
        # A stalled or closed stdin: what did come is kept, marked as cut.
        pass
    return b"".join(chunks), False


def file_name(tool: str, complete: bool) -> str:
    """A spool file's name: arrival in ns, the event's id (a UUID of version 7), tool, marks."""
    arrival = time_ns()
    bits = int.from_bytes(posix.urandom(10), "big") & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62
    h = "%012x%020x" % (arrival // 1000000, bits)
    mark = "" if complete else ".cut"
    return "%020d_%s-%s-%s-%s-%s_%s%s.event" % (
        arrival, h[:8], h[8:12], h[12:16], h[16:20], h[20:], tool, mark,
    )  # fmt: skip


def open_private(path: str, at: int | None = None) -> int:
    """A directory that is ours and no link, made where it is missing; durable with its parent."""
    try:
        return posix.open(path, DIRECTORY, dir_fd=at)
    except FileNotFoundError:
        pass
    try:
        posix.mkdir(path, 0o700, dir_fd=at)
    except FileExistsError:
        return posix.open(path, DIRECTORY, dir_fd=at)
    parent = posix.open("." if at is not None else path + "/..", DIRECTORY, dir_fd=at)
    posix.fsync(parent)
    posix.close(parent)
    return posix.open(path, DIRECTORY, dir_fd=at)


def keep(project: str, name: str, payload: bytes) -> int:
    """Write one spool file; on return it survives a power loss. Returns the open spool."""
    khive = open_private(project + "/.khive")
    spool = open_private("spool", khive)
    posix.close(khive)
    temporary = ".%s.tmp" % name
    try:
        file = posix.open(temporary, CREATE, 0o600, dir_fd=spool)
        rest = memoryview(payload)
        while rest:
            rest = rest[posix.write(file, rest) :]
        posix.fsync(file)
        posix.close(file)
        posix.rename(temporary, name, src_dir_fd=spool, dst_dir_fd=spool)
        posix.fsync(spool)
    except BaseException:
        try:
            posix.unlink(temporary, dir_fd=spool)
        except OSError:
            pass
        raise
    return spool


def wake_drainer(project: str, spool: int) -> None:
    """Wake the drainer that listens at the spool, or start one.

    The pipe has a reader exactly while a drainer runs: opening it for writing fails otherwise. The
    first hook opens its reading end and hands it to the drainer that it starts, so that the hooks
    after it start no second one.
    """
    flags = posix.O_NONBLOCK | posix.O_NOFOLLOW
    try:
        pipe = posix.open(WAKE, posix.O_WRONLY | flags, dir_fd=spool)
    except FileNotFoundError:
        try:
            posix.mkfifo(WAKE, 0o600, dir_fd=spool)
        except FileExistsError:
            pass
    except OSError:
        pass
    else:
        posix.write(pipe, b"\n")
        return
    pipe = posix.open(WAKE, posix.O_RDWR | flags, dir_fd=spool)
    posix.set_inheritable(pipe, True)
    environment = {name: posix.environ[name] for name in DRAINER_VARIABLES if name in posix.environ}
    nothing = [(posix.POSIX_SPAWN_OPEN, fd, "/dev/null", posix.O_RDWR, 0) for fd in (0, 1, 2)]
    posix.posix_spawn(
        sys.executable,
        [sys.executable, "-E", "-P", "-m", "khive_persist.capture.drainer", project, str(pipe)],
        environment,
        file_actions=nothing,
        setsid=True,
    )


def record(tool: str, directory: str) -> None:
    """Read one payload and keep it: in the project's spool, else in the home directory's."""
    began = monotonic()
    payload, complete = read_payload()
    # What reading has left over: a disk that many write to can take its time to sync.
    _signal.setitimer(_signal.ITIMER_REAL, ALL_SECONDS - min(monotonic() - began, READ_SECONDS))
    name = file_name(tool, complete)
    project = find_project(directory, tool)
    try:
        spool = keep(project, name, payload)
    except (OSError, ValueError) as error:
        refuge = home()
        if not refuge or refuge == project:
            raise Refusal("%s/.khive: %s" % (project, error)) from None
        away = name.removesuffix(".event") + ".away"
        header = project.encode(sys.getfilesystemencoding(), "surrogateescape") + b"\0"
        try:
            spool, project = keep(refuge, away, header + payload), refuge
        except (OSError, ValueError) as second:
            raise Refusal(
                "%s/.khive: %s; %s/.khive: %s" % (project, error, refuge, second)
            ) from None
    try:
        wake_drainer(project, spool)
    except (OSError, Late):
        # The event is kept; the next hook, or the next reader, drains it.
        pass


def ring(*_: object) -> None:
    raise Late("took too long")


def main() -> None:
    code = 0
    try:
        _signal.signal(_signal.SIGALRM, ring)
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
        posix.umask(0o077)
        record(*arguments(sys.argv[1:]))
    except BaseException as error:  # Whatever it is, the agent's tool must go on.
        code = 1
        line = "khive-hook: event not kept: %s\n" % (error or type(error).__name__)
        line = line[:-1].replace("\n", " ")[:500] + "\n"
        try:
            posix.write(2, line.encode("utf-8", "replace"))
        except OSError:
            pass
    # Tearing the interpreter down would cost a seventh of the whole run, and nothing is left to do.
    posix._exit(code)
