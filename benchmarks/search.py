"""A million messages of 1 KB: search beside `grep` over the mirror and LIKE over the table."""

import json
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import corpus
from benchmarks.table import Line
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.project import Project
from khive_persist.search_index.follow import catch_up
from khive_persist.settings import Settings
from khive_persist.store.redacting import load_redactor
from khive_persist.transcripts.sync import Sync

MESSAGES: Final = 1_000_000
# The memory of so few is what the process takes anyway.
FEW: Final = 10_000
QUESTIONS: Final = 1_000
# What reads everything is slow: asked so often, and a fresh process, too.
SCANS: Final = 3
FRESH: Final = 5
_WORD: Final = re.compile(r"[^\W_]{3,}")

Question = tuple[str, str]


class Run(NamedTuple):
    """What a process of its own did: how long it took, and the most memory, in MiB."""

    seconds: float
    peak: float


class Indexed(NamedTuple):
    """A project with its messages, all indexed.

    Attributes:
        messages: The number of messages.
        text_bytes: The size of their texts.
        synced: The sync of them.
        indexed: The indexing of them.
    """

    messages: int
    text_bytes: int
    synced: Run
    indexed: Run


def measure(messages: int = MESSAGES) -> list[Line]:
    """Search, size of the index, speed and memory of indexing."""
    with tempfile.TemporaryDirectory() as name:
        many, few = Path(name) / "many", Path(name) / "few"
        small = _index(few, min(FEW, messages))
        large = _index(many, messages)
        questions = _questions(many, messages)
        return [
            *_asking(many, messages, questions),
            *_scanning(many, messages, questions[:SCANS]),
            *_sizes(many, large),
            Line(
                f"indexing {messages:,} messages of 1 KB for the search, against the sync of them,"
                " redacted and mirrored",
                f"{messages / large.indexed.seconds:,.0f} messages/s",
                f"sync {messages / large.synced.seconds:,.0f} messages/s",
                large.synced.seconds / large.indexed.seconds,
                0.5,
            ),
            Line(
                f"memory to index {messages:,} messages, beyond that for {small.messages:,}",
                f"{large.indexed.peak:.0f} MiB",
                f"{small.indexed.peak:.0f} MiB",
                large.indexed.peak - small.indexed.peak,
                20,
                at_most=True,
                unit="MiB",
            ),
        ]


def sync(folder: str, transcripts: str) -> None:
    """Sync transcripts into a new project, at default settings."""
    project = Project(folder)
    project.root.mkdir()
    project.make()
    syncing = Sync(project, Settings(), load_redactor(project, Settings()))
    for path in sorted(Path(transcripts).iterdir()):
        syncing.run(path, "claude-code")


def index(folder: str) -> None:
    """Bring the index of a project up to all that it has."""
    if behind := catch_up(Project(folder), seconds=inf):
        raise RuntimeError(f"{behind} changes are not in the index")


def _index(folder: Path, messages: int) -> Indexed:
    transcripts = folder.with_name(f"{folder.name}-transcripts")
    text_bytes = sum(written.text_bytes for written in corpus.write(transcripts, messages))
    synced = _run(f"sync({str(folder)!r}, {str(transcripts)!r})")
    shutil.rmtree(transcripts)
    with closing(_connect(folder)) as connection:
        (stored,) = connection.execute(f"SELECT count(*) FROM {CONVERSATIONS.table}").fetchone()
    if stored != messages:
        raise RuntimeError(f"{stored:,} of {messages:,} messages are there")
    return Indexed(messages, text_bytes, synced, _run(f"index({str(folder)!r})"))


def _questions(folder: Path, messages: int) -> list[Question]:
    """Draw two words each from the texts of messages that are drawn."""
    some = random.Random(13)
    rowids = [(some.randint(1, messages),) for _ in range(QUESTIONS)]
    questions: list[Question] = []
    with closing(_connect(folder)) as connection:
        sql = f"SELECT content FROM {CONVERSATIONS.table} WHERE rowid = ?"
        for rowid in rowids:
            (content,) = connection.execute(sql, rowid).fetchone()
            words = sorted({word.lower() for word in _WORD.findall(_text(json.loads(content)))})
            first, second = some.sample(words, 2)
            questions.append((first, second))
    return questions


def _text(content: dict[str, Any]) -> str:
    text = content.get("text") or content["tool_results"][0]["output"]
    return str(text)


def _asking(folder: Path, messages: int, questions: Sequence[Question]) -> list[Line]:
    fresh = [_ask(folder, [question]) for question in questions[-FRESH:]]
    seconds = sorted(_ask(folder, questions)[2:])
    imports, first = (statistics.median(column) for column in zip(*fresh, strict=True))
    what = f"search for two words of one of {messages:,} messages of 1 KB, {{}}"
    median, most = statistics.median(seconds), seconds[int(0.99 * (len(seconds) - 1))]
    return [
        _at_most(what.format(f"the median of {len(seconds):,}"), median, 20),
        _at_most(what.format("99 % of them"), most, 200),
        _at_most(
            what.format(f"the first of a fresh process, after {imports * 1e3:.0f} ms of imports"),
            first,
            300,
        ),
    ]


def _at_most(what: str, seconds: float, goal: float) -> Line:
    milliseconds = seconds * 1e3
    text = f"{milliseconds:.1f} ms"
    return Line(what, text, f"{goal} ms", milliseconds, goal, at_most=True, unit="ms")


def _scanning(folder: Path, messages: int, questions: Sequence[Question]) -> list[Line]:
    ours = statistics.median(_ask(folder, [questions[0], *questions])[2:])
    greps, likes = [], []
    for first, second in questions:
        words = ["grep", "-rciE", f"{first}.*{second}|{second}.*{first}", "sessions"]
        began = time.perf_counter()
        subprocess.run(words, cwd=folder / ".khive", stdout=subprocess.PIPE, check=True)
        greps.append(time.perf_counter() - began)
        sql = f"SELECT count(*) FROM {CONVERSATIONS.table} WHERE content LIKE ? AND content LIKE ?"
        began = time.perf_counter()
        with closing(_connect(folder)) as connection:
            connection.execute(sql, (f"%{first}%", f"%{second}%")).fetchone()
        likes.append(time.perf_counter() - began)
    what = f"search for two words of one of {messages:,} messages, against {{}}"
    return [
        Line(
            what.format(against),
            f"{ours * 1e3:.1f} ms",
            f"{statistics.median(seconds):.2f} s",
            statistics.median(seconds) / ours,
            20,
        )
        for against, seconds in (
            ("grep -ri for both over the whole mirror", greps),
            ("LIKE for both over the table", likes),
        )
    ]


def _sizes(folder: Path, indexed: Indexed) -> list[Line]:
    path = folder / ".khive" / "search.db"
    what = f"{{}} of {indexed.messages:,} messages of 1 KB, against their text"
    sizes: dict[str, int] = {}
    reason = ""
    with closing(sqlite3.connect(path)) as connection:
        try:
            sizes = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        except sqlite3.OperationalError:
            reason = "this SQLite has no dbstat"
    words = sum(size for name, size in sizes.items() if name.startswith("words_"))
    against = f"text {indexed.text_bytes / 1e6:,.0f} MB"
    return [
        Line(
            what.format(name),
            f"{size / 1e6:,.0f} MB",
            against,
            size / indexed.text_bytes,
            goal,
            at_most=True,
            reason=missing,
        )
        for name, size, goal, missing in (
            ("the index of words", words, 0.6, reason),
            ("search.db, with packed texts and substrings", path.stat().st_size, 2, ""),
        )
    ]


def _ask(folder: Path, questions: Sequence[Question]) -> list[float]:
    """Ask in a process of its own; the seconds of its imports, and of each question."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.search_process", str(folder)],
        input=json.dumps(questions),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def _run(call: str) -> Run:
    """Run a function of this module in a process of its own."""
    program = (
        f"import time; from benchmarks.search import *; began = time.perf_counter(); {call};"
        " print(time.perf_counter() - began);"
        # Not ru_maxrss: that has the peak of whoever started the process in it.
        " print(*(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds, peak = done.stdout.split()
    return Run(float(seconds), int(peak) / 1024)


def _connect(folder: Path) -> sqlite3.Connection:
    path = folder / ".khive" / CONVERSATIONS.file
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
