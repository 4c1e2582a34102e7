"""Both hooks, at one time of one clock, leave the same files: names, modes, bytes."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.capture import hook_path, spool_writer
from tests.compiled_hook import compiled

TIME: Final = 1_796_000_000_123_456_789
DIGITS: Final = "a5" * 16
WRAPPERS: Final = Path(__file__).parents[1] / "native" / "fixed_clock.c"
WRAPPED: Final = ("clock_gettime", "getrandom", "posix_spawn")
PROGRAM: Final = f"""
import posix, sys
sys.path.insert(0, sys.argv.pop(1))
posix.urandom = lambda size: b"\\xa5" * size
posix.posix_spawn = lambda *words, **options: 0
import spool_writer
spool_writer.time_ns = lambda: {TIME}
spool_writer.main()
"""
WITHOUT_READING: Final = os.open(os.devnull, os.O_WRONLY)
# What stands in place of a `.khive`.
KHIVES: Final = (
    "nothing", "trusted", "earlier marks", "of two homes", "untrusted", "of another mark", "empty",
    "a file",
    "a link", "a dangling link", "a file in place of the spool", "a link in place of the spool",
    "a file in place of the pipe", "a folder in place of the pipe",
)  # fmt: skip
HOMES: Final = ("nothing", "trusted", "untrusted", "a file", "a link", "with notes", "none")
# The text of a pause's link, by where it lies: of all, or of a project.
PAUSES: Final = (
    f"{TIME - 1:020d}_{TIME + 1:020d}", f"{TIME:020d}_{10**20 - 1}", f"{TIME - 2:020d}_{TIME:020d}",
    f"{TIME + 1:020d}_{10**20 - 1}", f"{TIME:020d}", f"{TIME:019d}x_{10**20 - 1}", "_", "../x",
    f"{TIME:020d}_{10**20 - 1}0", "\u00e9" * 20 + "_" + "9" * 20,
)  # fmt: skip
PAYLOADS: Final = st.sampled_from(
    [b'{"session_id": "s-1"}', b'{"a": 1, "sessionId" :\t"s_2", "session_id": 3}', b'"session_id":',
     b'{"session_id": "a/../b", "taskId": "t"}', b'{"session_id": "", "thread_id": "t"}',
     b'{"session_id": "s\0", "threadId": "x', b'{"session_id": "' + b"x" * 300 + b'"}']
)  # fmt: skip


class Case(NamedTuple):
    """What the hook is given. Paths begin at the folder of the case."""

    words: tuple[str, ...]
    variables: dict[str, str]
    payload: bytes | None
    khives: dict[str, str]
    home: str
    start: str
    pauses: dict[str, str]


PLACES: Final = ("", "a", "a/b", "other")
PATHS: Final = st.sampled_from(
    [*PLACES, "a/../other", "a/b/", "gone", "linked", "a file", "o\nd\u00e9", "x" * 256]
)
ODD_WORDS: Final = (
    "--tool", "--dir", "vim", "--tool=v\u00efm", "--x=y", "=", "", "--tell-lost=1",
    "\udcff\udc80x", "\n", "\u20ac" * 300,
)  # fmt: skip
FLAGS: Final = st.sampled_from(["--tell-lost", "--fallback", "--exit-zero"])


@st.composite
def words(draw: st.DrawFn, odd: bool) -> tuple[str, ...]:
    tool = draw(st.sampled_from(spool_writer.TOOLS))
    parts = [["--tool", tool] if draw(st.booleans()) else [f"--tool={tool}"]]
    if draw(st.booleans()):
        path = draw(st.sampled_from(["{root}/", ""])) + draw(PATHS)
        parts.append(["--dir", path] if draw(st.booleans()) else [f"--dir={path}"])
    parts += [[flag] for flag in draw(st.lists(FLAGS, max_size=2))]
    if odd:
        parts.insert(draw(st.integers(0, len(parts))), [draw(st.sampled_from(ODD_WORDS))])
    parts = draw(st.permutations(parts)) if not odd else parts
    return tuple(word for part in parts for word in part)


CASES: Final = st.builds(
    Case,
    words=st.one_of(words(odd=False), words(odd=False), words(odd=True)),
    variables=st.fixed_dictionaries(
        {},
        optional={
            "KHIVE_DIR": PATHS.map("{root}/%s".__mod__),
            "CLAUDE_PROJECT_DIR": PATHS.map("{root}/%s".__mod__),
            "GEMINI_PROJECT_DIR": PATHS,
            "KHIVE_HOME": st.sampled_from(["{root}/home", "{root}/other", "/proc/none", "x", ""]),
            "COPILOT_CLI": st.just("1"),
            "CURSOR_TRACE": st.just(""),
            "KHIVE_OFF": st.sampled_from(["1", "0", "", "false"]),
        },
    ),
    # None: a stdin that cannot be read.
    payload=st.one_of(st.none(), st.binary(max_size=64), st.just(b"x" * 200_000), PAYLOADS),
    khives=st.fixed_dictionaries({place: st.sampled_from(KHIVES) for place in PLACES}),
    home=st.sampled_from(HOMES),
    start=st.sampled_from(["a/b", "a", "other", "bare"]),
    pauses=st.dictionaries(
        st.sampled_from(["all", "all", "home", *PLACES]), st.sampled_from(PAUSES), max_size=3
    ),
)


@pytest.fixture(scope="module")
def native() -> Path:
    return compiled(WRAPPED, WRAPPERS)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(os.path.realpath(name)) / "case"


@given(case=CASES)
def test_both_leave_the_same_files(native: Path, root: Path, case: Case) -> None:
    python = [sys.executable, "-I", "-S", "-c", PROGRAM, str(hook_path().parent)]
    assert outcome([str(native)], root, case) == outcome(python, root, case)


def outcome(command: list[str], root: Path, case: Case) -> tuple[object, ...]:
    """Run a hook in a folder that is made anew; its code, its line, and all that is left."""
    make(root, case)
    variables = {name: value.replace("{root}", str(root)) for name, value in case.variables.items()}
    options: dict[str, Any] = {"input": case.payload}
    if case.payload is None:
        options = {"stdin": WITHOUT_READING}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [*command, *(word.replace("{root}", str(root)) for word in case.words)],
        capture_output=True, check=False, cwd=root / case.start, timeout=30,
        env={"HOME": f"{root}/home", "FIXED_TIME": str(TIME), **variables}, **options,
    )  # fmt: skip
    files = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else b""
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        files[str(path)] = status.st_mode, content
    # One C library's words for an error are not the other's.
    line = done.stderr.replace(b"Filename too long", b"File name too long")
    return done.returncode, done.stdout, line, files


def make(root: Path, case: Case) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("home", "a/b", "other", "bare", "o\nd\u00e9"):
        (root / folder).mkdir(parents=True)
    (root / "linked").symlink_to("a/b")
    (root / "a file").touch()
    make_khive(root, root / "home", "nothing" if case.home == "none" else case.home)
    for place, kind in case.khives.items():
        make_khive(root, root / place, kind)
    state = root / "home" / ".khive"
    for place, until in case.pauses.items() if state.is_dir() and not state.is_symlink() else ():
        marks = state / "marks" / str(root / place).lstrip("/")
        link = state / "pauses" / "all" if place == "all" else marks / ".paused"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(until)


def make_khive(root: Path, directory: Path, kind: str) -> None:
    khive = directory / ".khive"
    if kind == "nothing":
        return
    if kind == "earlier marks":
        write_marks(root, khive)
        return
    if kind in ("a file", "a dangling link", "a link"):
        if kind == "a file":
            khive.touch()
        else:
            khive.symlink_to("../bare" if kind == "a link" else "nowhere")
        return
    khive.mkdir(mode=0o700)
    if kind == "with notes":
        (khive / "lost").mkdir()
        for number, text in enumerate("-?-"):
            (khive / "lost" / f"{number}-x").symlink_to(text)
    if kind in ("empty", "with notes"):
        return
    mark(root, khive, kind)
    spool = khive / "spool"
    if kind == "a file in place of the spool":
        spool.touch()
    elif kind == "a link in place of the spool":
        spool.symlink_to(root / "bare")
    elif kind.endswith("of the pipe"):
        spool.mkdir(mode=0o700)
        pipe = spool / "wake"
        pipe.touch() if "file" in kind else pipe.mkdir()


def mark(root: Path, khive: Path, kind: str) -> None:
    own = "1" * 32
    ids = {"of two homes": f"{'2' * 32}-{own}", "of another mark": "3" * 32}
    (khive / "id").symlink_to(ids.get(kind, own))
    if kind != "untrusted":
        write_marks(root, khive)


def write_marks(root: Path, khive: Path) -> None:
    """Write a mark with those of other homes' folders that were at the path before."""
    own = "1" * 32
    marks = root / "home" / ".khive" / "marks"
    if not marks.parent.is_dir() or marks.parent.is_symlink():
        return
    folder = marks / str(khive.parent).lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    texts = "-".join([own, *(f"{number:032x}" for number in range(9))])
    (folder / ".khive").symlink_to(texts)
