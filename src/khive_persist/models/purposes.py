"""The purposes of our own records, and those of a user's. Standard library only."""

from typing import Any, Final

from khive_persist.capture import spool_writer
from khive_persist.models.purpose import Purpose as Purpose
from khive_persist.models.purpose import check

_built_ins: list[Purpose] = []


def _built_in(name: str, table: str | None = None, **options: Any) -> Purpose:
    described = Purpose(name, table or name, **options)
    _built_ins.append(described)
    return described


PLANNER_SESSIONS: Final = _built_in(
    "planner_sessions",
    view="plans",
    document="planner_session",
    fields=(
        "session_id", "task_description", "complexity", "agent_count", "workflow_pattern",
        "confidence", "planning_cost",
    ),
    indexes=(
        ("complexity", "planning_cost", "confidence", "agent_count"),
        ("planning_cost",),
        ("confidence",),
        ("session_id",),
        ("created_at",),
    ),
)  # fmt: skip

_EVENT_FIELDS: Final = (
    "event_type", "tool", "hook_event_name", "session_id", "tool_name", "tool_use_id", "command",
    "output", "cwd", "transcript_path", "agent_id", "agent_type", "turn_id", "prompt_id", "model",
    "duration_ms", "success", "error", "file_paths", "metadata",
)  # fmt: skip
_EVENT_INDEXES: Final = (
    ("session_id", "created_at", "success"),
    ("event_type", "created_at"),
    ("tool_use_id",),
    ("created_at",),
)

# How much of these fields is kept beside the payload, which has the whole: the view gives that.
PREVIEW_CHARACTERS: Final = {"output": 200, "command": 500}

# The files of events, and the client that has sent those of a row that names none. SQLite reads at
# most ten files together, so that the later clients share one.
EVENT_FILES: Final[dict[str, Purpose]] = {
    client: _built_in(
        name,
        "hook_events",
        view="events",
        fields=_EVENT_FIELDS,
        indexes=_EVENT_INDEXES,
        document="hook_events",
        is_stream=True,
    )
    for client, name in (
        ("claude-code", "claude_hooks"),
        ("codex", "codex_hooks"),
        ("gemini-cli", "gemini_hooks"),
        ("unknown", "agent_hooks"),
    )
}
AGENT_HOOKS: Final = EVENT_FILES["unknown"]

# The key is the tool's name as `khive-hook --tool` takes it.
HOOK_EVENTS: Final[dict[str, Purpose]] = {
    tool: EVENT_FILES.get(tool, AGENT_HOOKS) for tool in spool_writer.TOOLS
}

# Those who run the hooks that are registered for a tool, and have none of ours.
OTHER_CLIENTS: Final = frozenset({"grok-build", "unknown"})

CONVERSATIONS: Final = _built_in(
    "conversations",
    "messages",
    view="conversation",
    fields=(
        "session_id", "tool", "role", "kind", "line", "turn_id", "text", "thinking", "model",
        "tokens.input", "tokens.cache_read", "tokens.cache_write", "tokens.cache_write_1h",
        "tokens.output", "tokens.reasoning", "agent_id", "parent_agent_id", "message_id",
        "request_id", "cwd", "transcript_path",
    ),
    indexes=(("session_id", "created_at"), ("agent_id", "created_at"), ("created_at",)),
    document="messages",
    is_stream=True,
)  # fmt: skip

FOCUS_CHAINS: Final = _built_in(
    "focus_chains",
    view="focus",
    fields=("session_id", "tool", "agent_id", "position", "turn_id", "tool_use_id", "explanation"),
    indexes=(("session_id", "created_at"), ("created_at",)),
    document="focus_chains",
    is_stream=True,
)

OUTCOMES: Final = _built_in(
    "outcomes",
    view="verdicts",
    fields=("session_id", "verdict", "source", "note"),
    indexes=(("session_id", "created_at"), ("created_at",)),
    document="outcome",
)

APPLICATION_SESSIONS: Final = _built_in(
    "application_sessions",
    view="trials",
    document="application_session",
    fields=(
        "session_id", "application", "participant", "scenario", "group", "status", "version",
        "started_at", "updated_at", "completed_at",
    ),
    indexes=(
        ("participant", "created_at"),
        ("scenario", "created_at"),
        ("group", "created_at"),
        ("status", "created_at"),
        ("session_id",),
        ("created_at",),
    ),
)  # fmt: skip

MEASUREMENTS: Final = _built_in(
    "measurements",
    view="measured",
    fields=("session_id", "name", "value", "unit", "measured_at"),
    indexes=(("session_id", "created_at"), ("name", "created_at"), ("created_at",)),
    document="measurements",
    is_stream=True,
)

SCORES: Final = _built_in(
    "scores",
    view="scored",
    fields=("session_id", "name", "value", "max_value", "scored_at", "note"),
    indexes=(("session_id", "created_at"), ("name", "created_at"), ("created_at",)),
    document="scores",
    is_stream=True,
)

EXPERIMENTS: Final = _built_in(
    "experiments",
    view="designs",
    fields=("name", "note"),
    indexes=(("name",), ("created_at",)),
    document="experiment",
)

ASSIGNMENTS: Final = _built_in(
    "assignments",
    view="assigned",
    fields=("session_id", "experiment", "variant", "method", "is_late"),
    indexes=(
        ("session_id", "created_at"),
        ("experiment", "variant", "method", "is_late"),
        ("created_at",),
    ),
    document="assignment",
)

BUILT_IN: Final = tuple(_built_ins)
BUILT_IN_NAMES: Final = frozenset(kind.name for kind in BUILT_IN)


def purpose(
    name: str,
    table: str | None = None,
    *,
    view: str = "",
    fields: tuple[str, ...] = (),
    indexes: tuple[tuple[str, ...], ...] = (),
    document: str = "",
    is_stream: bool = False,
) -> Purpose:
    """Describe a kind of record of your own: its file, its table, its indexes, its second copy.

    Words of SQL can be names, as in `purpose("order")`; SQL of your own then has to quote them.

    Args:
        name: The purpose's name, which is the file's: `training` lies in `training.db`.
        table: The name of its table, where that is another.
        view: A view with `fields` as plain columns, or an empty string for none.
        fields: Paths into `content`, as in `athlete` or `load.weekly`.
        indexes: The indexes, each a tuple of such paths, or of `created_at`. One that is named no
            longer is removed from the file when it is opened for writing the next time; do not make
            indexes of the same names by hand.
        document: The beginning of the names of its files in the mirror, where that is not the name.
        is_stream: Whether its mirror is a file a session, with a line a record, and not a file a
            record.

    Returns:
        The checked description.

    Raises:
        InvalidRecordError: A name has other characters than ASCII letters, digits and underscores,
            or more than 63; it is khive-persist's or SQLite's, in whatever case; or two are the
            same, in whatever case.
    """
    described = Purpose(name, table or name, view, fields, indexes, document or name, is_stream)
    check(described, BUILT_IN)
    return described
