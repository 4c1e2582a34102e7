"""The tool calls that failed or were refused, with their records: of events, and of messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist.capture.previews import with_whole_texts
from khive_persist.clock import InstantText
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.sessions.definitions import (
    event_tables,
    is_failed_call_sql,
    session_sql,
    text_sql,
    time_sql,
    tool_sql,
    unreported_sql,
)
from khive_persist.sessions.timeline.labels import text_of
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement
from khive_persist.tools.message_part import mappings_in

PURPOSES: Final = (*EVENT_FILES.values(), CONVERSATIONS)
# As much of each end of an error: the line that names it is the first of some tools, and the last
# of others.
_END_CHARACTERS: Final = 8_192


class Failure(NamedTuple):
    """A tool call that failed or was refused.

    Attributes:
        at: The time of its end.
        record_id: The record that tells how it ended.
        purpose: The name of that record's purpose.
        client: The AI tool.
        tool_name: The tool that it called; an empty string where that is not known.
        session_id: Its session; an empty string for none.
        agent_id: The subagent; an empty string for the session's own agent.
        subject: Its command, or the first of its files; an empty string for neither.
        error: The text that was said of it; of a long one both ends, 8,192 characters each.
    """

    at: InstantText
    record_id: str
    purpose: str
    client: str
    tool_name: str
    session_id: str
    agent_id: str
    subject: str
    error: str


class _Row(NamedTuple):
    at: str
    record_id: str
    purpose: str
    client: str
    tool_name: str
    session_id: str
    agent_id: str
    content: str


class _Conditions(NamedTuple):
    since: str | None
    words: tuple[str, ...]
    session_id: str | None


async def failures(
    reader: Reader,
    *,
    since: str | None = None,
    limit: int | None = None,
    words: Sequence[str] = (),
    session_id: str | None = None,
) -> list[Failure]:
    """Return the calls that failed, the latest first.

    Args:
        reader: A reader of `PURPOSES`.
        since: The time from which on they ended; None for all.
        limit: At most so many; None for all.
        words: Words in small letters, of which the record has at least one; none for any record.
        session_id: The session; None for all.
    """
    conditions = _Conditions(since, tuple(words), session_id)
    rows = await reader.fetch_as(_Row, lambda source: _rows(source, conditions, limit))
    failed_calls = [failure for row in rows for failure in _failures_of(row)]
    return failed_calls if limit is None else failed_calls[:limit]


async def count_failures(
    reader: Reader, *, since: str | None = None, session_id: str | None = None
) -> int:
    """Count the calls that failed, from a time on."""
    conditions = _Conditions(since, (), session_id)

    def build(source: Source) -> Statement:
        counts, values = [], []
        for _, table in event_tables(source):
            condition, bound = _condition(source, is_failed_call_sql(source), conditions)
            counts.append(f"(SELECT count(*) FROM {table} WHERE {condition})")
            values += bound
        unreported = unreported_sql(source, "failures")
        condition, bound = _condition(source, f"{unreported} > 0", conditions)
        messages = source.only(CONVERSATIONS.name).sql
        counts.append(f"(SELECT coalesce(sum({unreported}), 0) FROM {messages} WHERE {condition})")
        return Statement(f"SELECT {' + '.join(counts)}", [*values, *bound])

    return int((await reader.fetch(build))[0][0])


def _rows(source: Source, conditions: _Conditions, limit: int | None) -> Statement:
    selects, values = [], []
    for client, table in event_tables(source):
        condition, bound = _condition(source, is_failed_call_sql(source), conditions)
        names = (
            f"{tool_sql(source, client)} AS client, {text_sql(source, 'tool_name')} AS tool_name"
        )
        selects.append(_select(source, EVENT_FILES[client].name, names, table, condition))
        values += bound
    of_messages = f"{unreported_sql(source, 'failures')} > 0"
    condition, bound = _condition(source, of_messages, conditions)
    names = f"{text_sql(source, 'tool')} AS client, '' AS tool_name"
    table = source.only(CONVERSATIONS.name).sql
    selects.append(_select(source, CONVERSATIONS.name, names, table, condition))
    union = " UNION ALL ".join(f"SELECT * FROM ({select})" for select in selects)
    return Statement(
        f"SELECT * FROM ({union}) ORDER BY at DESC, record_id DESC LIMIT ?",
        [*values, *bound, -1 if limit is None else limit],
    )


def _select(source: Source, purpose: str, names: str, table: str, condition: str) -> str:
    return (
        f"SELECT {time_sql(source)} AS at, id AS record_id, '{purpose}' AS purpose, {names},"
        f" {session_sql(source)} AS session_id, {text_sql(source, 'agent_id')} AS agent_id,"
        f" {source.content} AS content FROM {table} WHERE {condition} LIMIT -1"
    )


def _condition(source: Source, condition: str, conditions: _Conditions) -> tuple[str, list[Any]]:
    values: list[Any] = []
    if conditions.since is not None:
        condition += f" AND {source.created_at} >= ?"
        values.append(conditions.since)
    if conditions.session_id is not None:
        condition += f" AND {source.extract('$.session_id')} = ?"
        values.append(conditions.session_id)
    if conditions.words:
        matches = " OR ".join([f"instr(lower({source.content}), ?)"] * len(conditions.words))
        condition += f" AND ({matches})"
        values += conditions.words
    return condition, values


def _failures_of(row: _Row) -> Iterator[Failure]:
    content = codec.column(row.content)
    if not isinstance(content, Mapping):
        return
    if row.purpose != CONVERSATIONS.name:
        texts = with_whole_texts(dict(content))
        files = content.get("file_paths")
        subject = texts.get("command") or (files[0] if isinstance(files, list) and files else "")
        error = _ends(text_of(texts.get("error") or texts.get("output")))
        yield _failure(row, row.tool_name, str(subject or ""), error)
        return
    for result in mappings_in(content.get("tool_results")):
        if result.get("is_error") is True:
            yield _failure(
                row, text_of(result.get("name")), "", _ends(text_of(result.get("output")))
            )
    for call in mappings_in(content.get("tool_calls")):
        if "result" in call and (call.get("is_error") is True or call.get("status") == "error"):
            yield _failure(row, text_of(call.get("name")), "", _ends(text_of(call["result"])))


def _failure(row: _Row, tool_name: str, subject: str, error: str) -> Failure:
    return Failure(
        row.at, row.record_id, row.purpose, row.client, tool_name, row.session_id, row.agent_id,
        subject, error,
    )  # fmt: skip


def _ends(text: str) -> str:
    if len(text) <= 2 * _END_CHARACTERS:
        return text
    return f"{text[:_END_CHARACTERS]}\n{text[-_END_CHARACTERS:]}"
