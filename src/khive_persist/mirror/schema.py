"""The JSON Schema of the mirror's documents: a file of a plan, or a line of a stream of events."""

from typing import Any, Final

from pydantic import TypeAdapter

from khive_persist.mirror.document import DATA_MODEL_VERSION
from khive_persist.models.application_session import ApplicationSessionContent
from khive_persist.models.assignment import AssignmentContent
from khive_persist.models.experiment import ExperimentContent
from khive_persist.models.focus_chain import FocusChainContent
from khive_persist.models.hook_event import HookEventContent
from khive_persist.models.measurement import MeasurementContent
from khive_persist.models.message import MessageContent
from khive_persist.models.outcome import OutcomeContent
from khive_persist.models.planner_session import PlannerSessionContent
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    ASSIGNMENTS,
    CONVERSATIONS,
    EXPERIMENTS,
    FOCUS_CHAINS,
    HOOK_EVENTS,
    MEASUREMENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    SCORES,
)
from khive_persist.models.score import ScoreContent

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_CONTENTS: Final[dict[str, Any]] = {
    "planner_session": PlannerSessionContent,
    "hook_event": HookEventContent,
    "message": MessageContent,
    "focus_chain": FocusChainContent,
    "outcome": OutcomeContent,
    "application_session": ApplicationSessionContent,
    "measurement": MeasurementContent,
    "score": ScoreContent,
    "experiment": ExperimentContent,
    "assignment": AssignmentContent,
}


def schema() -> dict[str, Any]:
    """Return the schema of `dataModelVersion` 1, in JSON Schema 2020-12."""
    schemas, definitions = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(content)) for name, content in _CONTENTS.items()],
        ref_template="#/$defs/{model}",
    )
    contents = {name: schemas[name, "validation"] for name in _CONTENTS}
    return {
        "$schema": _DIALECT,
        "$id": f"urn:khive-persist:document:{DATA_MODEL_VERSION}",
        "title": "A record of khive-persist, as its mirror keeps it",
        "oneOf": [{"$ref": "#/$defs/Record"}, {"$ref": "#/$defs/Deletion"}],
        "$defs": {
            "Record": _record(contents),
            "Deletion": _DELETION,
            **definitions.get("$defs", {}),
        },
    }


def _record(contents: dict[str, Any]) -> dict[str, Any]:
    events = [purpose.name for purpose in HOOK_EVENTS.values()]
    return {
        "description": "One row. A database is made again from these.",
        "type": "object",
        "required": ["dataModelVersion", "id", "purpose", "created_at"],
        "properties": {
            "dataModelVersion": {"const": DATA_MODEL_VERSION},
            "id": {"type": "string", "minLength": 1},
            "purpose": {"type": "string", "description": "The database's name, without .db."},
            "table": {"type": "string", "description": "Its table, where that is another name."},
            "created_at": {
                "type": ["string", "number", "null"],
                "description": "UTC, YYYY-MM-DD HH:MM:SS.ffffff; otherwise as an old file had it.",
            },
            "content": {},
            "node_metadata": {},
            "embedding": {},
            "text": {
                "description": "The exact text of columns that JSON would spell otherwise.",
                "type": "object",
                "additionalProperties": {"type": "string"},
                "propertyNames": {"enum": ["content", "node_metadata", "embedding"]},
            },
        },
        "additionalProperties": False,
        "allOf": [
            _content_rule([PLANNER_SESSIONS.name], contents["planner_session"]),
            _content_rule(events, contents["hook_event"]),
            _content_rule([CONVERSATIONS.name], contents["message"]),
            _content_rule([FOCUS_CHAINS.name], contents["focus_chain"]),
            _content_rule([OUTCOMES.name], contents["outcome"]),
            _content_rule([APPLICATION_SESSIONS.name], contents["application_session"]),
            _content_rule([MEASUREMENTS.name], contents["measurement"]),
            _content_rule([SCORES.name], contents["score"]),
            _content_rule([EXPERIMENTS.name], contents["experiment"]),
            _content_rule([ASSIGNMENTS.name], contents["assignment"]),
        ],
    }


def _content_rule(purposes: list[str], content: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for content of these purposes, where it does not stand as text only."""
    return {
        "if": {"properties": {"purpose": {"enum": purposes}}, "required": ["purpose"]},
        "then": {"properties": {"content": {"anyOf": [content, {"type": "null"}]}}},
    }


_DELETION: Final = {
    "description": "A line of a stream: the record of this id, above it, was deleted.",
    "type": "object",
    "required": ["dataModelVersion", "id", "purpose", "deleted"],
    "properties": {
        "dataModelVersion": {"const": DATA_MODEL_VERSION},
        "id": {"type": "string", "minLength": 1},
        "purpose": {"type": "string"},
        "session_id": {"type": "string"},
        "deleted": {"const": True},
    },
    "additionalProperties": False,
}
