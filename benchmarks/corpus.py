"""A million messages of 1 KB as transcripts of Claude Code: prose, code, paths; the same each time.

The words have Zipf's frequencies: some stand in nearly every message, most in a few of a million.
A quarter of them are of code, as `retryCursorBatch`, `last_seen_rows` or `src/worker/drain.py:41`,
and each third message has an id that stands nowhere else, as a commit's.
"""

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

MESSAGE_BYTES: Final = 1_000
SESSION_MESSAGES: Final = 1_000

_COMMON: Final = """
the of to and a in is it that for on with as this be are not at by or from if an we can was have
but you when which will has all no one then only so its than there more new after use file test
error line value return self name first run each time before they what make should their read
write code where same into call set out path now does up get list still also how two add check
index other would while any these need until last function found string type message data some
your key default without see most next fix both here object change class way between been empty
once result work another page order state number process row rows open close start end because
may build count field records text table lock server client session token version user request
response thread query commit branch config option cache memory store event queue batch retry
timeout import export module package method argument exception traceback assert expected actual
none true false null print async await raise try except finally yield lambda global local static
public private const var let struct impl trait enum interface extends override virtual void int
bool char byte bytes buffer stream socket port host address network disk folder directory link
mode permission owner signal worker drain parser reader writer cursor handle pointer stack heap
frame node edge tree graph root leaf parent child left right depth width height size length
limit offset range step loop merge rebase conflict patch diff review approve deploy release
rollback migration schema column primary foreign unique constraint transaction isolation
snapshot backup restore archive compress hash digest signature encrypt secret vault login logout
password account billing invoice payment customer product stock cart checkout refund discount
tax currency locale format parse render layout style color button dialog menu panel chart axis
legend filter sort group sum average median minimum maximum random sample train model weight
gradient epoch metric score label feature vector matrix tensor kernel driver device sensor
camera audio video image pixel font icon theme plugin hook trigger schedule job task plan phase
goal outcome verdict note summary detail report log trace span latency throughput quota rate
budget cost price usage meter alert warning notice ticket issue comment reply mention channel
"""
_ONSETS: Final = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st t tr v w z"
_VOWELS: Final = "a e i o u ai ea ee io oo ou"
_CODAS: Final = ["", "", "n", "r", "l", "s", "t", "m", "nd", "rt", "ck", "st"]
_SUFFIXES: Final = ("py", "py", "ts", "rs", "go", "md", "json", "toml")
_WORDS: Final = 40_000
_CAMELS: Final = 40_000
_SNAKES: Final = 25_000
_PATHS: Final = 15_000
_NUMBERS: Final = 2_000
# Of each kind among the words that are drawn.
_SHARES: Final = (0.72, 0.09, 0.07, 0.06, 0.06)
_DRAWN: Final = 190
_LINE_WORDS: Final = 13
_FAILED: Final = 0.06

Document = dict[str, Any]


class _Vocabulary(NamedTuple):
    """Words, and for each the sum of the weights up to it."""

    words: list[str]
    cumulative: list[float]


class Written(NamedTuple):
    """A transcript that was written, and how large the texts in it are."""

    path: Path
    text_bytes: int


def write(folder: Path, messages: int) -> list[Written]:
    """Write transcripts of so many messages, by two processes; return them in order of time."""
    folder.mkdir()
    _vocabulary()
    sessions = range(-(-messages // SESSION_MESSAGES))
    counts = [min(SESSION_MESSAGES, messages - number * SESSION_MESSAGES) for number in sessions]
    with ProcessPoolExecutor(2) as pool:
        written = pool.map(_write_session, [folder] * len(counts), sessions, counts, chunksize=8)
        return list(written)


def text(some: random.Random) -> str:
    """Return one text of 1 KB."""
    vocabulary = _vocabulary()
    drawn = some.choices(vocabulary.words, cum_weights=vocabulary.cumulative, k=_DRAWN)
    if some.random() < 1 / 3:
        drawn[some.randrange(40)] = f"{some.getrandbits(160):040x}"
    lines = (drawn[at : at + _LINE_WORDS] for at in range(0, _DRAWN, _LINE_WORDS))
    return "\n".join(map(" ".join, lines))[:MESSAGE_BYTES].rpartition(" ")[0]


def _write_session(folder: Path, number: int, messages: int) -> Written:
    session = str(UUID(int=random.Random(number).getrandbits(128), version=4))
    path = folder / f"{number:06d}-{session}.jsonl"
    text_bytes = 0
    with path.open("w") as file:
        for document, said in _documents(session, number, messages):
            text_bytes += len(said)
            file.write(json.dumps(document, separators=(",", ":")))
            file.write("\n")
    return Written(path, text_bytes)


def _documents(session: str, number: int, messages: int) -> Iterator[tuple[Document, str]]:
    """Yield a prompt, an answer that calls a tool, what it gave back, and so on; and the texts."""
    some = random.Random(f"session {number}")
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=37 * number)
    parent: str | None = None
    call = ""
    for message in range(messages):
        at += timedelta(seconds=1 + some.random())
        id = str(UUID(int=some.getrandbits(128), version=4))
        role = "assistant" if message % 3 == 1 else "user"
        document: Document = {
            "parentUuid": parent, "isSidechain": False, "userType": "external",
            "cwd": "/home/dev/src/proj", "sessionId": session, "version": "2.1.0",
            "gitBranch": "main", "type": role, "uuid": id,
            "timestamp": at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
        }  # fmt: skip
        said = text(some)
        if message % 3 == 0:
            document["message"] = {"role": role, "content": said}
        elif message % 3 == 1:
            call = f"toolu_{some.getrandbits(80):020x}"
            command = " ".join(said[:80].split()[:6])
            use = {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": command}}
            document["message"] = {
                "id": f"msg_{id}", "type": "message", "role": role, "model": "claude-opus-4-8",
                "content": [{"type": "text", "text": said[len(command) :].strip()}, use],
                "stop_reason": "tool_use", "usage": {"input_tokens": 4, "output_tokens": 300},
            }  # fmt: skip
            document["requestId"] = f"req_{id}"
        else:
            is_error = some.random() < _FAILED
            result = {"type": "tool_result", "tool_use_id": call, "content": said}
            document["message"] = {"role": role, "content": [result | {"is_error": is_error}]}
        yield document, said
        parent = id


@cache
def _vocabulary() -> _Vocabulary:
    some = random.Random(11)
    words = [*_COMMON.split()]
    known = set(words)
    while len(words) < _WORDS:
        if (word := _invented(some)) not in known:
            known.add(word)
            words.append(word)
    # Names in code are made of words that are common, but for those like `the`.
    nouns = words[60:]
    weights = list(accumulate(_zipf(len(nouns))))

    def of_words(least: int, most: int) -> list[str]:
        return some.choices(nouns, cum_weights=weights, k=some.randint(least, most))

    camels = [_camel(of_words(2, 4)) for _ in range(_CAMELS)]
    snakes = ["_".join(of_words(2, 3)) for _ in range(_SNAKES)]
    paths = [_path(of_words(2, 4), some) for _ in range(_PATHS)]
    numbers = [str(int(10 ** some.uniform(0, 5))) for _ in range(_NUMBERS)]
    kinds: Sequence[list[str]] = (words, camels, snakes, paths, numbers)
    drawn: list[str] = []
    shares: list[float] = []
    for kind, share in zip(kinds, _SHARES, strict=True):
        frequencies = _zipf(len(kind))
        total = sum(frequencies)
        drawn += kind
        shares += (share * frequency / total for frequency in frequencies)
    return _Vocabulary(drawn, list(accumulate(shares)))


def _zipf(count: int) -> list[float]:
    """The frequency by rank, as Zipf and Mandelbrot have it."""
    return [(rank + 2.7) ** -1.05 for rank in range(1, count + 1)]


def _invented(some: random.Random) -> str:
    syllables = some.choices((1, 2, 3), (1, 5, 4))[0]
    onsets, vowels = _ONSETS.split(), _VOWELS.split()
    return "".join(
        some.choice(onsets) + some.choice(vowels) + some.choice(_CODAS) for _ in range(syllables)
    )


def _camel(parts: Sequence[str]) -> str:
    return parts[0] + "".join(part.title() for part in parts[1:])


def _path(parts: Sequence[str], some: random.Random) -> str:
    path = "/".join(("src", *parts)) + "." + some.choice(_SUFFIXES)
    return f"{path}:{some.randint(1, 400)}" if some.random() < 0.3 else path
