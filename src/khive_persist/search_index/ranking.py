"""Rank what matches: by words first, of the newest; then by time, of the best, each text once.

bm25 reads the places of the words in every passage that it ranks, so that it is asked once, in
SQLite, for no more than `MAX_SCORED`, and nothing is done here for more than it leaves.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.search_index.expression import (
    MAX_CANDIDATES,
    MAX_SCORED,
    Compiled,
    candidates_of,
)
from khive_persist.search_index.result import PassageKind
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.named_rows import rows_as
from khive_persist.store.sqlite.statements import scalar

# A passage of today counts so much more than one of long ago, and half of that after a month.
_RECENCY: Final = 0.3
_HALF_LIFE_SECONDS: Final = 30 * 86_400
# Of one session no more are shown while others have any.
_PER_SESSION: Final = 5


class Candidate(NamedTuple):
    """A passage that matches, as the index has it.

    Attributes:
        number: Its number in the index.
        kind: The part of its record that it is.
        client: The client of its session.
        tool_name: The tool of its call.
        agent_id: The subagent.
        created_at: The time of its record.
        failed: 1 where its call failed.
        size: The bytes of its text in the index.
        checksum: The last bytes of that: zlib ends with the checksum of the text.
        purpose: The name of its record's purpose.
        record_id: The id of its record.
        session_id: Its session; an empty text for none.
        score: bm25, the smaller the better.
    """

    number: int
    kind: PassageKind
    client: str
    tool_name: str
    agent_id: str
    created_at: str
    failed: int
    size: int
    checksum: bytes
    purpose: str
    record_id: str
    session_id: str
    score: float


class Ranked(NamedTuple):
    """A candidate and its rank: higher is better.

    Attributes:
        rank: The rank.
        candidate: The passage.
        has_words: Whether it has the words of the query; False for what is near in meaning alone.
    """

    rank: float
    candidate: Candidate
    has_words: bool = True


class Matches(NamedTuple):
    """The passages that match a query.

    Attributes:
        total: The number of all passages that match.
        ranked: The best of them, in order, each text of a session once.
    """

    total: int
    ranked: list[Ranked]


def find_matches(
    connection: Connection,
    compiled: Compiled,
    current_time: datetime,
    limit: int = MAX_CANDIDATES,
) -> Matches:
    """Return what matches a query in the index, so many of the best ranked."""
    best = connection.execute(*compiled.best(limit)).fetchall()
    if not best:
        return Matches(0, [])
    *_, count = best[0]
    if count == MAX_SCORED:
        count = int(scalar(connection, *compiled.counting()))
    scores = {number: score for number, score, _ in best}
    rows = connection.execute(*candidates_of(codec.dump(list(scores))))
    candidates = [
        candidate._replace(score=scores[candidate.number]) for candidate in rows_as(Candidate, rows)
    ]
    return Matches(count, ranked(candidates, current_time))


def ranked(candidates: Iterable[Candidate], current_time: datetime) -> list[Ranked]:
    """Rank candidates by their words and their time; equal texts of a session count once."""
    in_order = sorted(
        (Ranked(_rank(candidate, current_time), candidate) for candidate in candidates),
        key=lambda entry: (-entry.rank, entry.candidate.number),
    )
    first_of_text: dict[tuple[object, ...], Ranked] = {}
    for entry in in_order:
        first_of_text.setdefault(text_of(entry.candidate), entry)
    return list(first_of_text.values())


def text_of(candidate: Candidate) -> tuple[object, ...]:
    """Return what is the same of two candidates that are the same text, of one kind and session."""
    return candidate.session_id, candidate.kind, candidate.size, candidate.checksum


def choose(entries: Sequence[Ranked], limit: int) -> list[Ranked]:
    """Return the best, in order; those of one session leave room for those of others."""
    counts: dict[str, int] = {}
    chosen: list[Ranked] = []
    surplus: list[Ranked] = []
    for entry in entries:
        session = entry.candidate.session_id
        counts[session] = counts.get(session, 0) + 1
        (chosen if counts[session] <= _PER_SESSION else surplus).append(entry)
    best = [*chosen[:limit], *surplus[: max(0, limit - len(chosen))]]
    return sorted(best, key=lambda entry: (-entry.rank, entry.candidate.number))


def by_session(entries: Iterable[Ranked]) -> dict[str, list[Ranked]]:
    """Return the entries of each session, that of the first entry first."""
    groups: dict[str, list[Ranked]] = {}
    for entry in entries:
        groups.setdefault(entry.candidate.session_id, []).append(entry)
    return groups


def _rank(candidate: Candidate, current_time: datetime) -> float:
    at = clock.from_column(candidate.created_at) or clock.unreadable()
    age = max(0.0, (current_time - at).total_seconds())
    recency: float = 0.5 ** (age / _HALF_LIFE_SECONDS)
    return (-candidate.score or 1.0) * (1 + _RECENCY * recency)
