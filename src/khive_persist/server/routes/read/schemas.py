"""The parts of JSON Schemas, and the shapes of answers that have no class."""

from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
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


def mapping(schema: Schema) -> Schema:
    """Return an object with keys of any name."""
    return {"type": "object", "additionalProperties": schema}


def record(**fields: Schema) -> Schema:
    """Return an object that has all of these fields, and no other."""
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }


def shape(schema: Schema) -> Any:
    """Return the type of what has a schema and no class."""
    return Annotated[Any, WithJsonSchema(schema)]


STATS: Final = record(
    events=array(
        record(tool=TEXT, event_type=maybe(TEXT), events=COUNT, failures=COUNT, sessions=COUNT)
    ),
    tokens=array(
        {
            "type": "object",
            "description": "The first field is what they are counted by: the day, the model, …",
            "required": ["messages", "input", "cache_read", "cache_write", "output", "cost",
                         "unpriced"],
            "additionalProperties": True,
        }
    ),
    reported=array(
        record(
            session_id=TEXT,
            tool=TEXT,
            computed=maybe(NUMBER),
            unpriced=COUNT,
            reported=NUMBER,
            difference=NUMBER,
            is_guess=BOOLEAN,
        )
    ),
    plans=record(
        total_sessions=COUNT,
        complexities=mapping(COUNT),
        avg_agent_count=maybe(NUMBER),
        avg_confidence=maybe(NUMBER),
        total_cost=NUMBER,
        not_numbers=mapping(COUNT),
    ),
    kinds=array(
        record(
            purpose=TEXT,
            records=COUNT,
            sessions=COUNT,
            first=maybe(INSTANT),
            last=maybe(INSTANT),
        )
    ),
)  # fmt: skip
_CALLS: Final = array(
    record(
        tool=TEXT,
        tool_use_id=TEXT,
        name=TEXT,
        created_at=TEXT,
        has_pre=BOOLEAN,
        has_post=BOOLEAN,
        has_result=BOOLEAN,
        wants_pre=BOOLEAN,
        wants_post=BOOLEAN,
        ending=TEXT,
        reason=TEXT,
    )
)
ACCOUNT: Final = record(
    session_id=TEXT,
    events=COUNT,
    reconstructed=COUNT,
    messages=COUNT,
    calls=_CALLS,
    endings=mapping(COUNT),
    failed_hooks=COUNT,
    lost=array(record(event=TEXT, subject=TEXT, created_at=TEXT, reason=TEXT)),
    after_end=COUNT,
    incomplete=_CALLS,
    cost=record(
        computed=maybe(NUMBER),
        unpriced=COUNT,
        reported=maybe(NUMBER),
        difference=maybe(NUMBER),
    ),
)
FOCUS: Final = record(
    session_id=TEXT,
    agents=array(
        record(
            agent_id=maybe(TEXT),
            current=array({"type": "object"}),
            work=array({"type": "object"}),
            history=array({"type": "object"}),
        )
    ),
)
