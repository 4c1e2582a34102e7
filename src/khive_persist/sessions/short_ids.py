"""Short forms of the ids of sessions and plans, as git has them of commits: each names one."""

from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from typing import Final

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import LAST_CHARACTER, Field, Filter, column, field
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.read import SESSION_FILES
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select

_LEAST_CHARACTERS: Final = 8


async def short_ids(project: Project, ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginning of each session's id that no other id in the project has.

    Any of them names its session to `--session`, `show` and the like.
    """
    name = field("session_id")
    async with reading(project, *SESSION_FILES) as reader:
        return {id: _short(id, await _neighbours(reader, name, id)) for id in dict.fromkeys(ids)}


async def short_plan_ids(project: Project, ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginning of each plan's id that no other plan in the project has.

    Any of them names its plan to `plans show`.
    """
    name = column("id")
    async with reading(project, PLANNER_SESSIONS) as reader:
        return {id: _short(id, await _neighbours(reader, name, id)) for id in dict.fromkeys(ids)}


def shortest(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginning of each id that no other of these ids has."""
    in_order = sorted(ids)
    neighbours = zip(["", *in_order], [*in_order[1:], ""], strict=False)
    return {id: _short(id, both) for id, both in zip(in_order, neighbours, strict=True)}


def _short(id: str, others: Iterable[str]) -> str:
    shared = max((_shared_characters(id, other) for other in others), default=0)
    return id[: max(_LEAST_CHARACTERS, shared + 1)]


def _shared_characters(id: str, other: str) -> int:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(id, other, strict=False))
    return sum(1 for _ in pairs)


async def _neighbours(reader: Reader, name: Field, id: str) -> list[str]:
    """Return the ids before and after one in order, of those that begin as it does."""
    beginning = id[:_LEAST_CHARACTERS]
    alike = (name >= beginning) & (name <= beginning + LAST_CHARACTER)
    rows = [
        *await reader.fetch(partial(_aggregate, "max", name, alike & (name < id))),
        *await reader.fetch(partial(_aggregate, "min", name, alike & (name > id))),
    ]
    return [row[0] for row in rows if row[0] is not None]


def _aggregate(function: str, name: Field, ids: Filter, source: Source) -> Statement:
    return select(source, [ids], columns=f"{function}({name.column or source.extract(name.path)})")
