"""Whole processes against the bare interpreter: the hook, the import, the command's help."""

import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.samples import payload
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist.capture import hook_path
from khive_persist.capture.drain import Drain
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_reader

FLOOR = [sys.executable, "-I", "-S", "-c", "pass"]
HOOK = [sys.executable, "-I", "-S", str(hook_path()), "--tool", "claude-code"]
ORIGINAL_TIMES_FLOOR = 148.0
UV_HOOK = "import json, sys; json.load(sys.stdin)\n"
WRITERS = 32
EACH = 12
VISIBLE_ROUNDS = 12


def measure(runs: int) -> list[Line]:
    """Every line that is about a process."""
    lines = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        project = Project(Path(name) / "project")
        project.root.mkdir()
        os.environ["KHIVE_DIR"] = str(project.root)
        os.environ["HOME"] = name
        for size in (2_048, 51_200):
            stdin = Path(name) / f"{size}.json"
            stdin.write_bytes(payload(size))
            ours, floor = paired(HOOK, FLOOR, stdin, runs)
            ratio = median_ratio(ours, floor)
            what = f"hook process, {size // 1024} KB, durable"
            lines.append(
                Line(
                    what,
                    milliseconds(ours),
                    f"bare interpreter {milliseconds(floor)}",
                    ratio,
                    1.10,
                    at_most=True,
                )
            )
            if size == 2_048:
                lines.append(
                    Line(
                        "the original's hook (148 × floor, as DESIGN measured it)",
                        f"{ratio:.2f} × floor",
                        "148 × floor",
                        ORIGINAL_TIMES_FLOOR / ratio,
                        100,
                    )
                )
                lines += _uv(stdin, Path(name), runs)
        lines.append(_many_at_once(Path(name) / "2048.json", project))
        lines += _visible(Path(name))
    lines += _starts(runs)
    return lines


def _uv(stdin: Path, folder: Path, runs: int) -> list[Line]:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        return []
    script = folder / "uv_hook.py"
    script.write_text(UV_HOOK)
    command = [uv, "run", "--offline", "--no-project", "--python", sys.executable, str(script)]
    theirs, ours = paired(command, HOOK, stdin, max(runs // 4, 5))
    return [
        Line(
            "a hook by `uv run`, which only parses its JSON",
            milliseconds(ours),
            milliseconds(theirs),
            median_ratio(theirs, ours),
            8,
        )
    ]


def _many_at_once(stdin: Path, project: Project) -> Line:
    """32 loops of hooks against the same 32 loops of the bare interpreter."""
    with Drain(project) as drain:
        drain.run()
    before = stored(project)
    bare = loops(FLOOR, stdin, WRITERS, EACH)
    hooks = loops(HOOK, stdin, WRITERS, EACH)
    with Drain(project) as drain:
        drain.run()
    kept = stored(project) - before + len(Spool(project).events())
    lost = WRITERS * EACH - kept
    return Line(
        f"{WRITERS} hook processes at once, {lost} of {WRITERS * EACH} lost",
        f"{hooks:.0f}/s",
        f"bare interpreter {bare:.0f}/s",
        hooks / bare if not lost else 0.0,
        0.7,
    )


def _visible(folder: Path) -> list[Line]:
    """From the hook's end to the row's appearing to another connection, by asking every 2 ms."""
    stdin = folder / "2048.json"
    seconds: dict[str, list[float]] = {"with no drainer running": [], "with one running": []}
    for number in range(VISIBLE_ROUNDS):
        project = Project(folder / f"visible{number}")
        project.root.mkdir()
        os.environ["KHIVE_DIR"] = str(project.root)
        for taken in seconds.values():
            before = stored(project)
            _run(HOOK, stdin)
            began = time.perf_counter()
            while stored(project) == before:
                time.sleep(0.002)
            taken.append(time.perf_counter() - began)
    return [
        Line(
            f"from the hook's end to plain sqlite3, {name} (worst of {VISIBLE_ROUNDS})",
            f"{max(taken) * 1e3:.0f} ms",
            "250 ms",
            max(taken) * 1e3,
            250,
            at_most=True,
            unit="ms",
        )
        for name, taken in seconds.items()
    ]


def loops(command: Sequence[str], stdin: Path, writers: int, each: int) -> float:
    """Run a command in so many loops at once; how many a second."""

    def loop() -> None:
        for _ in range(each):
            _run(command, stdin)

    threads = [threading.Thread(target=loop) for _ in range(writers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return writers * each / (time.perf_counter() - began)


def _starts(runs: int) -> list[Line]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        empty = Path(name) / "empty_package"
        empty.mkdir()
        (empty / "__init__.py").write_text('"""Nothing."""\n')
        stdin = Path(os.devnull)
        path = f"import sys; sys.path.insert(0, {name!r}); "
        bare = [sys.executable, "-I", "-c", path + "import empty_package"]
        ours = [sys.executable, "-I", "-c", path + "import khive_persist"]
        imported, nothing = paired(ours, bare, stdin, runs)
        program = [str(Path(sys.executable).with_name("khive-persist")), "--help"]
        helped, started = paired(program, [sys.executable, "-c", "pass"], stdin, runs)
    more = statistics.median(helped) - statistics.median(started)
    return [
        Line(
            "import khive_persist",
            milliseconds(imported),
            f"an empty package {milliseconds(nothing)}",
            median_ratio(imported, nothing),
            1.2,
            at_most=True,
        ),
        Line(
            "khive-persist --help, beyond the interpreter's start",
            milliseconds(helped),
            milliseconds(started),
            more * 1e3,
            150,
            at_most=True,
            unit="ms",
        ),
    ]


def stored(project: Project) -> int:
    """How many events of Claude Code are in the database."""
    path = project.database(HOOK_EVENTS["claude-code"].file)
    if not path.exists():
        return 0
    connection = open_reader(path)
    try:
        return int(connection.execute("SELECT count(*) FROM hook_events").fetchone()[0])
    except sqlite3.OperationalError:
        # The file is there, and its table not yet.
        return 0
    finally:
        connection.close()


def paired(
    first: Sequence[str], second: Sequence[str], stdin: Path, runs: int
) -> tuple[list[float], list[float]]:
    """Both in turn, so that what else the machine does meets both; the first pair is no run."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for command, taken in zip((first, second), times, strict=True):
            seconds = _run(command, stdin)
            if run:
                taken.append(seconds)
    return times


def _run(command: Sequence[str], stdin: Path) -> float:
    source = os.open(stdin, os.O_RDONLY)
    sink = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, sink, 1)]
    began = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), os.environ, file_actions=actions)
    _, status = os.waitpid(process, 0)
    took = time.perf_counter() - began
    os.close(source)
    os.close(sink)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return took
