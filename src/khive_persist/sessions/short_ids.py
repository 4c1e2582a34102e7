"""Short forms of session ids, as git has them of commits: long enough to name one session."""

from collections.abc import Iterable

from khive_persist.models.query import Filter, field
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.read import SESSION_FILES
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select

LEAST_CHARACTERS = 8
# Ids that were made one after the other differ late: each look makes the beginning longer by this.
_STEP = 4


async def short_ids(project: Project, ids: Iterable[str]) -> dict[str, str]:
    """Return a beginning of each session's id that no other session of the project has.

    Any of them names its session to `--session`, `show` and the like.
    """
    async with reading(project, *SESSION_FILES) as reader:
        return {id: await _short(reader, id) for id in dict.fromkeys(ids)}


async def _short(reader: Reader, id: str) -> str:
    for length in range(LEAST_CHARACTERS, len(id), _STEP):
        if not await _is_shared(reader, id, id[:length]):
            return id[:length]
    return id


async def _is_shared(reader: Reader, id: str, prefix: str) -> bool:
    """Return whether another session's id begins so: by a range on each side of this one's."""
    session = field("session_id")
    for others in (
        (session >= prefix) & (session < id),
        (session > id) & (session <= prefix + "\U0010ffff"),
    ):
        if await reader.fetch(lambda source, others=others: _one(source, others)):
            return True
    return False


def _one(source: Source, others: Filter) -> Statement:
    return select(source, [others], limit=1, columns="1")
