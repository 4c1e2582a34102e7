"""What a test sends of an event, and what is stored of it."""

import json
import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project


def stop(session: str) -> bytes:
    """The payload of a session's end."""
    return json.dumps({"hook_event_name": "Stop", "session_id": session}).encode()


def sessions(project: Project, tool: str = "claude-code") -> list[str]:
    """The sessions of the events that are stored, in the order in which they came in."""
    path = project.database(HOOK_EVENTS[tool].file)
    with closing(
        sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)
    ) as connection:
        contents = connection.execute("SELECT content FROM hook_events ORDER BY rowid").fetchall()
    return [json.loads(text).get("session_id", "") for (text,) in contents]
