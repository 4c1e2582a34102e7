"""Sessions to begin, what to add to them, and what of it is in the databases."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx

from khive_persist.project import Project

PATH = "/v1/application_sessions"
KINDS = ("messages", "measurements", "scores")
_ONE: dict[str, dict[str, Any]] = {
    "messages": {"role": "user", "text": "what now?"},
    "measurements": {"name": "pulse", "value": 71.5, "unit": "bpm"},
    "scores": {"name": "triage", "value": 7, "max_value": 10},
}
_FILES = {
    "sessions": ("application_sessions.db", "application_sessions"),
    "messages": ("conversations.db", "messages"),
    "measurements": ("measurements.db", "measurements"),
    "scores": ("scores.db", "scores"),
}


def begin(client: httpx.Client, **fields: Any) -> str:
    """A new session's id."""
    answer = client.post(PATH, json=fields or {"group": "a"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


def one_of(name: str) -> dict[str, Any]:
    """One that can be added."""
    return dict(_ONE[name])


def contents(project: Project, name: str) -> dict[str, Any]:
    """The content of each row, by its id."""
    file, table = _FILES[name]
    if not project.database(file).exists():
        return {}
    with closing(sqlite3.connect(project.database(file))) as connection:
        found = connection.execute(f"SELECT id, content FROM {table}").fetchall()
    assert len({id for id, _ in found}) == len(found)
    return {id: json.loads(content) for id, content in found}
