"""The lines of transcripts whose kind is unknown: kept as they came, and no messages."""

from typing import NamedTuple

from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement
from khive_persist.tools.message_part import HOOK, NO_MESSAGE


class UnknownLines(NamedTuple):
    """The number of lines of one kind in a tool's transcripts."""

    tool: str
    kind: str
    lines: int


async def count_unknown_lines(reader: Reader) -> list[UnknownLines]:
    """Count the lines of unknown kinds, by tool, the most frequent first."""
    return await reader.fetch_as(UnknownLines, _statement)


def _statement(source: Source) -> Statement:
    tool, kind, role = (source.extract(f"$.{name}") for name in ("tool", "kind", "role"))
    # A client's own total, and a hook that ran, are no messages either, and are read.
    reported, tokens = source.extract("$.reported"), source.extract("$.tokens")
    sql = (
        f"SELECT {tool} AS tool, {kind} AS kind, count(*) AS lines FROM {source.sql}"
        f" WHERE {role} = '{NO_MESSAGE}' AND {reported} IS NULL AND {tokens} IS NULL"
        f" AND {kind} IS NOT '{HOOK}'"
        " GROUP BY tool, kind ORDER BY lines DESC, tool, kind"
    )
    return Statement(sql, [])
