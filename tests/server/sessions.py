"""Sessions to begin, what to add to them, and what of it is in the databases."""

from typing import Any

import httpx

from khive_persist.project import Project
from tests import stored

PATH = "/v1/application_sessions"
KINDS = ("messages", "measurements", "scores")
_ONE: dict[str, dict[str, Any]] = {
    "messages": {"role": "user", "text": "what now?"},
    "measurements": {"name": "pulse", "value": 71.5, "unit": "bpm"},
    "scores": {"name": "triage", "value": 7, "max_value": 10},
}
FILES = {
    "sessions": "application_sessions.db",
    "messages": "conversations.db",
    "measurements": "measurements.db",
    "scores": "scores.db",
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
    return stored.contents(project, FILES[name])
