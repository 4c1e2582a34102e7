"""Titles, by which lists tell sessions from each other: once, for whoever lists sessions."""

from collections.abc import Mapping
from typing import Final

from khive_persist import clock
from khive_persist.models.prompts import UNTYPED
from khive_persist.models.purposes import APPLICATION_SESSIONS, CONVERSATIONS
from khive_persist.sessions.definitions import Row, event_tables, text_sql, time_sql
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement

TITLE_CHARACTERS: Final = 160
_PART_CHARACTERS: Final = TITLE_CHARACTERS // 2
_AFTER_TIME: Final = clock.CREATED_AT_CHARACTERS + 1


def title_sql(application: str, prompt: str, task: str) -> str:
    """Return a session's title; NULL for none.

    An application's session has the title of its record, any other the beginning of its first
    prompt, else of its plan's task.
    """
    return f"coalesce({application}, {prompt}, {beginning_sql(task)})"


def beginning_sql(text: str, characters: int = TITLE_CHARACTERS) -> str:
    """Return the beginning of a text on one line; NULL where nothing is in it."""
    line = f"substr({text}, 1, {characters})"
    for character in (9, 10, 13):
        line = f"replace({line}, char({character}), ' ')"
    return f"nullif(trim({line}), '')"


def application_title_sql(row: Row) -> str:
    """Return the title of an application's session: who worked through what; NULL for neither."""
    parts = (beginning_sql(text_sql(row, n), _PART_CHARACTERS) for n in ("participant", "scenario"))
    participant, scenario = parts
    return f"coalesce({participant} || ' · ' || {scenario}, {participant}, {scenario})"


def prompt_sql(row: Row, *, is_message: bool) -> str:
    """Return the beginning of the prompt that a message or an event has; NULL for none."""
    if is_message:
        text = row.extract("$.text")
        kind = f"coalesce({row.extract('$.kind')}, 'message') = 'message'"
        is_typed = " AND ".join(f"{text} NOT GLOB '{pattern}'" for pattern in UNTYPED)
        is_prompt = f"{row.extract('$.role')} = 'user' AND {kind} AND {is_typed}"
    else:
        # A text, the parts of one, or the text of a client's own event.
        paths = ("prompt[0].text", "prompt", "event.text")
        texts = ", ".join(row.extract(f"$.payload.{path}") for path in paths)
        text = f"coalesce({texts})"
        is_prompt = f"{row.extract('$.event_type')} = 'prompt_submitted'"
    return f"CASE WHEN {is_prompt} THEN {beginning_sql(text)} END"


async def read_titles(reader: Reader, tasks: Mapping[str, str | None]) -> dict[str, str]:
    """Return the titles of some sessions, of those that have one.

    Args:
        tasks: The tasks of their plans, by session.
    """
    rows = await reader.fetch(lambda source: _titles(source, tasks))
    return {session: title for session, title in rows if title is not None}


def _titles(source: Source, tasks: Mapping[str, str | None]) -> Statement:
    applications = source.only(APPLICATION_SESSIONS.name).sql
    messages = source.only(CONVERSATIONS.name).sql
    of_messages = _first(source, messages, prompt_sql(source, is_message=True))
    of_events = " UNION ALL ".join(
        f"SELECT {_first(source, table, prompt_sql(source, is_message=False))} AS first"
        for _, table in event_tables(source)
    )
    prompt = f"coalesce((SELECT min(first) FROM ({of_events})), {of_messages})"
    application = _first(source, applications, application_title_sql(source))
    title = title_sql(_text(application), _text(prompt), "session.value")
    return Statement(
        f"SELECT session.key, {title} FROM json_each(?) AS session", [codec.dump_lossy(dict(tasks))]
    )


def _first(source: Source, table: str, text: str) -> str:
    """Return time and text of the first row of a session that has the text.

    Rows are walked in order of time, by the index: most sessions begin with a prompt.
    """
    at, session = time_sql(source), source.extract("$.session_id")
    return (
        f"(SELECT {at} || {text} FROM {table} WHERE {session} = session.key"
        f" AND {text} IS NOT NULL ORDER BY {at}, {text} LIMIT 1)"
    )


def _text(timed: str) -> str:
    return f"substr({timed}, {_AFTER_TIME})"
