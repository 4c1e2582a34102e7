"""What Copilot CLI 1.0.102 sent and wrote, with one model that answers as it is told."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tools.copilot_cli.hooks import TOOL
from khive_persist.transcripts.sync import Sync, Synced
from tests.stored import contents

HERE = Path(__file__).parent
REGISTERED = frozenset(hook.event for hook in TOOL.registration.hooks)


class Sent(NamedTuple):
    """One payload: the settings file and the event that a hook was registered for."""

    settings: str
    event: str
    raw: str

    @property
    def payload(self) -> dict[str, Any]:
        """The payload, read."""
        payload: dict[str, Any] = json.loads(self.raw)
        return payload

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that are stored of it."""
        return TOOL.describe(in_our_words(self.payload))


def _registered(raw: str) -> Sent:
    """Return a payload of `payloads.jsonl`: the events that we register, in their order."""
    fields = TOOL.describe(in_our_words(json.loads(raw)))
    return Sent("own", str(fields["hook_event_name"]), raw)


def _lines(name: str) -> list[str]:
    return (HERE / name).read_text().splitlines()


# Those of the other dialect, and those that Claude Code's settings were sent, stand apart.
SENT = [
    *map(_registered, _lines("payloads.jsonl")),
    *(Sent(**json.loads(line)) for line in _lines("other_hooks.jsonl")),
]
SCENARIOS = sorted(path.name for path in (HERE / "transcripts").iterdir())


def transcript(scenario: str) -> Path:
    """Return the transcript of a scenario."""
    return HERE / "transcripts" / scenario / "events.jsonl"


def session_of(scenario: str) -> str:
    """Return the session of a scenario."""
    first = json.loads(transcript(scenario).read_text().split("\n", 1)[0])
    return str(first["data"]["sessionId"])


def sent_in(scenario: str, *, settings: str = "own") -> list[Sent]:
    """Return what our hook would be sent in a scenario, in the order in which it came."""
    session = session_of(scenario)
    return [
        sent
        for sent in SENT
        if sent.settings == settings
        and sent.event in REGISTERED
        and sent.fields.get("session_id") == session
    ]


def synced(project: Project, scenario: str) -> Synced:
    """Read the transcript of a scenario into a project."""
    return Sync(project, Settings(), None).run(transcript(scenario), "copilot-cli")


def messages(project: Project) -> list[dict[str, Any]]:
    """Return the messages of a project, hooks left out."""
    rows = contents(project, "conversations.db").values()
    return [content for content in rows if content.get("role") != "none"]
