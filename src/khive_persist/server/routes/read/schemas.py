"""The JSON Schemas of the answers."""

from typing import Any, Final

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


RECORD: Final = record(
    id=TEXT,
    created_at=INSTANT,
    # An old row may have no JSON there; it is shown as the text that it is.
    content=ANYTHING,
    node_metadata=ANYTHING,
)
EVENT: Final = RECORD
PLAN: Final = RECORD

SESSION: Final = record(
    session_id=TEXT,
    tool=maybe(TEXT),
    project=maybe(TEXT),
    model=maybe(TEXT),
    started=maybe(INSTANT),
    last=maybe(INSTANT),
    duration_seconds=maybe(NUMBER),
    events=COUNT,
    failures=COUNT,
    messages=COUNT,
    tokens=COUNT,
    cost=maybe(NUMBER),
    unpriced=COUNT,
    task_description=maybe(TEXT),
    complexity=maybe(TEXT),
    agent_count=maybe(NUMBER),
    confidence=maybe(NUMBER),
    planning_cost=maybe(NUMBER),
    verdict=maybe(TEXT),
    title=maybe(TEXT),
    plans=COUNT,
)
STORY: Final = record(
    session_id=TEXT,
    tools=array(TEXT),
    entries=array(
        record(
            at=INSTANT,
            kind={
                "enum": ["plan", "prompt", "message", "thinking", "tool", "focus", "event", "gap"]
            },
            title=TEXT,
            lines=array(TEXT),
            depth=COUNT,
            agent_id=maybe(TEXT),
            is_failed=BOOLEAN,
            duration_ms=maybe(NUMBER),
            tokens=COUNT,
            cost=maybe(NUMBER),
            unpriced=COUNT,
        )
    ),
)
PROJECT: Final = record(root=TEXT, name=TEXT, version=TEXT, since=maybe(INSTANT))

_TOTALS: Final[dict[str, Schema]] = {
    "events": COUNT,
    "failures": COUNT,
    "sessions": COUNT,
    "messages": COUNT,
    "input": COUNT,
    "cache_read": COUNT,
    "cache_write": COUNT,
    "output": COUNT,
    "cost": maybe(NUMBER),
    "unpriced": COUNT,
}


def _of(*names: str) -> dict[str, Schema]:
    return {name: _TOTALS[name] for name in names}


OVERVIEW: Final = record(
    since=maybe(INSTANT),
    until=maybe(INSTANT),
    bucket={"enum": ["hour", "day"]},
    by={"enum": ["tool", "model", "project"]},
    updated_at=INSTANT,
    totals=record(**_TOTALS),
    series=array(
        record(
            at=INSTANT,
            group=maybe(TEXT),
            **_of(
                "events", "failures", "sessions", "messages", "input", "output", "cost", "unpriced"
            ),
        )
    ),
    groups=array(
        record(
            group=maybe(TEXT),
            **_of("events", "failures", "sessions", "messages", "cost", "unpriced"),
        )
    ),
    is_complete=BOOLEAN,
    read=COUNT,
    of=COUNT,
)

OUTCOME: Final = record(
    plan_id=TEXT,
    session_id=maybe(TEXT),
    agent_session_id=maybe(TEXT),
    planned_at=maybe(INSTANT),
    task_description=maybe(TEXT),
    complexity=maybe(TEXT),
    workflow_pattern=maybe(TEXT),
    confidence=maybe(NUMBER),
    agent_count=maybe(NUMBER),
    planning_cost=maybe(NUMBER),
    # SQLite's.
    is_superseded={"enum": [0, 1, True, False]},
    tool=maybe(TEXT),
    started=maybe(INSTANT),
    ended=maybe(INSTANT),
    duration_seconds=maybe(NUMBER),
    tool_calls=maybe(COUNT),
    failures=maybe(COUNT),
    subagents=maybe(COUNT),
    todos=maybe(COUNT),
    todos_finished=maybe(COUNT),
    tokens=maybe(mapping(COUNT)),
    actual_cost=maybe(NUMBER),
    verdict=maybe(TEXT),
    verdict_source=maybe(TEXT),
    note=maybe(TEXT),
    unpriced=maybe(COUNT),
)
_COSTS: Final = array(
    record(
        group=maybe(TEXT),
        plans=COUNT,
        planned=NUMBER,
        actual=NUMBER,
        error=NUMBER,
        absolute_error=NUMBER,
        ratio=maybe(NUMBER),
    )
)
CALIBRATION: Final = record(
    plans=COUNT,
    judged=COUNT,
    bins=array(
        record(
            low=NUMBER,
            high=NUMBER,
            plans=COUNT,
            confidence=maybe(NUMBER),
            success=maybe(NUMBER),
            success_low=maybe(NUMBER),
            success_high=maybe(NUMBER),
        )
    ),
    brier=maybe(
        record(
            score=NUMBER,
            reliability=NUMBER,
            resolution=NUMBER,
            uncertainty=NUMBER,
            within_variance=NUMBER,
            within_covariance=NUMBER,
            skill=maybe(NUMBER),
        )
    ),
    cost_by_complexity=_COSTS,
    cost_by_pattern=_COSTS,
)
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
_REPORT: Final = record(
    versions=mapping(TEXT),
    khive=TEXT,
    databases=array(
        record(file=TEXT, bytes=COUNT, rows=maybe(COUNT), last=maybe(INSTANT), problem=TEXT)
    ),
    spool=record(
        events=mapping(COUNT),
        records=mapping(COUNT),
        oldest_seconds=maybe(NUMBER),
        waiting_elsewhere=COUNT,
    ),
    quarantined=array(TEXT),
    unmatched=array(
        record(
            tool=TEXT,
            session_id=maybe(TEXT),
            tool_name=maybe(TEXT),
            tool_use_id=maybe(TEXT),
            calls=COUNT,
            last=maybe(INSTANT),
        )
    ),
    unmatched_calls=COUNT,
    problems=array(TEXT),
    hooks=array(record(tool=TEXT, scope=TEXT, state=TEXT, transport=TEXT, path=TEXT)),
)
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
_ACCOUNT: Final = record(
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
DOCTOR: Final[Schema] = {"anyOf": [_REPORT, _ACCOUNT]}
BACKUPS: Final = record(
    backups=array(
        record(
            id=TEXT,
            created_at=INSTANT,
            kind={"enum": ["full", "incremental"]},
            parent=maybe(TEXT),
            rows=COUNT,
            content_bytes=COUNT,
            stored_bytes=COUNT,
            stored_as=TEXT,
            files=mapping(mapping(COUNT)),
        )
    ),
    damaged=mapping(TEXT),
    unfinished=array(TEXT),
    ahead=array(TEXT),
)
_WORK: Final = record(
    messages=COUNT,
    input=COUNT,
    cache_read=COUNT,
    cache_write=COUNT,
    output=COUNT,
    cost=maybe(NUMBER),
    unpriced=COUNT,
    tool_calls=COUNT,
    failures=COUNT,
    started_at=maybe(INSTANT),
    ended_at=maybe(INSTANT),
    tokens=COUNT,
    duration_seconds=maybe(NUMBER),
)
_LINK: Final = record(
    session_id=TEXT, is_recorded=BOOLEAN, messages=maybe(COUNT), at=maybe(INSTANT)
)
LINEAGE: Final = record(
    session_id=TEXT,
    tool=maybe(TEXT),
    starts=array(record(at=INSTANT, source=TEXT)),
    agents=array(
        record(
            agent_id=maybe(TEXT),
            agent_type=maybe(TEXT),
            parent_agent_id=maybe(TEXT),
            parent_is_recorded=BOOLEAN,
            depth=COUNT,
            models=array(TEXT),
            own=_WORK,
            total=_WORK,
        )
    ),
    links=record(
        forked_from=maybe(_LINK),
        forks=array(_LINK),
        started_by=maybe(_LINK),
        started=array(_LINK),
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
