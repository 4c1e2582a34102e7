"""Rows for a project, as the recorder stores them, written without a server."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, Purpose
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer
from tests.factories import Row, row, store_rows

BEGIN = datetime(2026, 11, 1, 10, 30, tzinfo=UTC)


def delete(project: Project, purpose: Purpose, where: str, *values: Any) -> None:
    """Delete rows."""
    connection = open_writer(project.database(purpose.file), purpose)
    try:
        connection.execute(f"DELETE FROM {purpose.table} WHERE {where}", values)
    finally:
        connection.close()


def event(session: str | None, at: datetime, tool: str = "claude-code", **fields: Any) -> Row:
    """An event."""
    content = {"event_type": "post_command", "tool": tool, "session_id": session, **fields}
    content.setdefault("payload", {"cwd": content.get("cwd"), "large": "x" * 50})
    return row({name: value for name, value in content.items() if value is not None}, at)


def message(session: str, at: datetime, tool: str = "claude-code", **fields: Any) -> Row:
    """A message."""
    return row({"tool": tool, "role": "assistant", "session_id": session, **fields}, at)


def fill(project: Project, sessions: int = 12, seed: int = 1) -> list[str]:
    """Some sessions of all tools over some days, with prompts, failures and tokens; their ids."""
    some = random.Random(seed)
    events: dict[str, list[Row]] = {tool: [] for tool in HOOK_EVENTS}
    messages: list[Row] = []
    ids = [str(uuid.UUID(int=some.getrandbits(128))) for _ in range(sessions)]
    for number, id in enumerate(ids):
        tool = [*HOOK_EVENTS][number % 3]
        at = BEGIN + timedelta(hours=7 * number)
        model = ["claude-opus-4-5", "gpt-5-codex", "of-no-price"][number % 3]
        fields = {"cwd": f"/src/project{number % 4}", "model": model}
        prompt = {"prompt": f"Write page {number}"}
        events[tool].append(
            event(id, at, tool, event_type="prompt_submitted", payload=prompt, **fields)
        )
        for step in range(some.randrange(1, 12)):
            at += timedelta(seconds=some.random() * 1_000)
            success = some.random() > 0.3
            events[tool].append(event(id, at, tool, success=success, number=step, **fields))
            tokens = {"input": some.randrange(1_000), "output": some.randrange(1_000)}
            messages.append(message(id, at, tool, tokens=tokens, **fields))
    for tool, rows in events.items():
        store_rows(project, HOOK_EVENTS[tool], rows)
    store_rows(project, CONVERSATIONS, messages)
    return ids


def pages(client: Any, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Each page of a list."""
    while True:
        answer = client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        yield found["items"]
        if found["next"] is None:
            return
        query["cursor"] = found["next"]
