"""The JSON Schema of the mirror's documents: a file of a plan, or a line of a stream of events."""

from typing import Any, Final

from pydantic import TypeAdapter

from khive_persist.mirror.document import DATA_MODEL_VERSION
from khive_persist.models.node import Node
from khive_persist.models.records import RECORDS

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the schema of `dataModelVersion` 1, in JSON Schema 2020-12."""
    contents: dict[str, Any] = {
        record.__name__: record.model_fields["content"].annotation for record in RECORDS
    }
    schemas, definitions = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(content)) for name, content in contents.items()],
        ref_template="#/$defs/{model}",
    )
    rules = [_rule(record, schemas[record.__name__, "validation"]) for record in RECORDS]
    return {
        "$schema": _DIALECT,
        "$id": f"urn:khive-persist:document:{DATA_MODEL_VERSION}",
        "title": "A record of khive-persist, as its mirror keeps it",
        "oneOf": [{"$ref": "#/$defs/Record"}, {"$ref": "#/$defs/Deletion"}],
        "$defs": {
            "Record": _record(rules),
            "Deletion": _DELETION,
            **definitions.get("$defs", {}),
        },
    }


def _record(rules: list[dict[str, Any]]) -> dict[str, Any]:
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
        "allOf": rules,
    }


def _rule(record: type[Node], content: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for content of a class, where it does not stand as text only."""
    purposes = [purpose.name for purpose in record.purposes()]
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
