"""The parts of JSON Schemas, of which those of requests are made."""

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
ANYTHING: Final[Schema] = {}
INSTANT: Final[Schema] = {
    "type": "string",
    "description": "UTC, as YYYY-MM-DD HH:MM:SS.ffffff",
    "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$",
}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that is null where it is not known."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(schema: Schema) -> Schema:
    """Return the schema of any number of items."""
    return {"type": "array", "items": schema}


def record(*required: str, **fields: Schema) -> Schema:
    """Return an object of these fields, and no other: it has those required, or else all."""
    return {
        "type": "object",
        "properties": fields,
        "required": [*(required or fields)],
        "additionalProperties": False,
    }
