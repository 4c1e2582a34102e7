"""Which record lives in which file and table. Standard library only."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from khive_persist.errors import InvalidRecordError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


class Purpose(NamedTuple):
    """One file of one kind of record.

    Attributes:
        name: The file's stem and the purpose's name: `planner_sessions` is `planner_sessions.db`.
        table: Its table.
        view: A view with the indexed fields as plain columns, or an empty string for none.
        fields: The fields of `content` that the view shows, by dotted path.
        indexes: Each an index: dotted paths into `content`, in order; `created_at` is the column.
        document: What the names of its files in the mirror begin with: `planner_session`.
        is_stream: Whether its mirror is a file a session, of a line a record, and not a file a
            record.
    """

    name: str
    table: str
    view: str = ""
    fields: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    document: str = ""
    is_stream: bool = False

    @property
    def file(self) -> str:
        """The file's name inside `.khive`."""
        return f"{self.name}.db"

    def index_name(self, paths: Iterable[str]) -> str:
        """What the index over these paths is called."""
        return "_".join([self.table, *(path.replace(".", "_") for path in paths)])


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
    """A checked `Purpose`: its names are plain words, so that they can stand in SQL and in a path.

    Raises:
        InvalidRecordError: A name, or a path, has other characters than letters, digits and `_`; or
            two indexes would have the same name.
    """
    made = Purpose(name, table or name, view, fields, indexes, document or name, is_stream)
    words = [made.name, made.table, made.document, *([view] if view else [])]
    paths = [*fields, *(path for index in indexes for path in index)]
    wrong = [word for word in words if not _NAME.match(word)]
    wrong += [path for path in paths if not _PATH.match(path)]
    if wrong:
        raise InvalidRecordError(
            f"{wrong[0]!r} cannot name a file, a table or a field",
            hint="use letters, digits and underscores",
        )
    # Every table has an index of that name already, and SQLite tells no case apart.
    present = ("odd_created_at",)
    names = [made.index_name(index).lower() for index in (*indexes, present)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRecordError(f"two indexes are named {twice}", hint="leave one out")
    return made


PLANNER_SESSIONS: Final = purpose(
    "planner_sessions",
    view="plans",
    document="planner_session",
    fields=(
        "session_id",
        "task_description",
        "complexity",
        "agent_count",
        "workflow_pattern",
        "confidence",
        "planning_cost",
    ),
    indexes=(
        ("complexity", "planning_cost", "confidence", "agent_count"),
        ("planning_cost",),
        ("confidence",),
        ("session_id",),
        ("created_at",),
    ),
)

_EVENT_FIELDS: Final = (
    "event_type",
    "tool",
    "hook_event_name",
    "session_id",
    "tool_name",
    "tool_use_id",
    "command",
    "output",
    "cwd",
    "transcript_path",
    "agent_id",
    "agent_type",
    "turn_id",
    "prompt_id",
    "model",
    "duration_ms",
    "success",
    "error",
)
_EVENT_INDEXES: Final = (
    ("session_id", "created_at", "success"),
    ("event_type", "created_at"),
    ("tool_use_id",),
    ("created_at",),
)

# How much of these fields is kept beside the payload, which has the whole: the view gives that.
PREVIEW_CHARACTERS: Final = {"output": 200, "command": 500}

# One file a tool: the key is the tool's name as `khive-hook --tool` takes it.
HOOK_EVENTS: Final[dict[str, Purpose]] = {
    tool: purpose(
        name,
        "hook_events",
        view="events",
        fields=_EVENT_FIELDS,
        indexes=_EVENT_INDEXES,
        document="hook_events",
        is_stream=True,
    )
    for tool, name in (
        ("claude-code", "claude_hooks"),
        ("codex", "codex_hooks"),
        ("gemini-cli", "gemini_hooks"),
    )
}

CONVERSATIONS: Final = purpose(
    "conversations",
    "messages",
    view="conversation",
    fields=(
        "session_id",
        "tool",
        "role",
        "kind",
        "line",
        "turn_id",
        "text",
        "thinking",
        "model",
        "tokens.input",
        "tokens.cache_read",
        "tokens.cache_write",
        "tokens.cache_write_1h",
        "tokens.output",
        "tokens.reasoning",
        "agent_id",
        "parent_agent_id",
        "message_id",
        "request_id",
        "cwd",
        "transcript_path",
    ),
    indexes=(("session_id", "created_at"), ("agent_id", "created_at"), ("created_at",)),
    document="messages",
    is_stream=True,
)

FOCUS_CHAINS: Final = purpose(
    "focus_chains",
    view="focus",
    fields=("session_id", "tool", "agent_id", "position", "turn_id", "tool_use_id", "explanation"),
    indexes=(("session_id", "created_at"), ("created_at",)),
    document="focus_chains",
    is_stream=True,
)

OUTCOMES: Final = purpose(
    "outcomes",
    view="verdicts",
    fields=("session_id", "verdict", "source", "note"),
    indexes=(("session_id", "created_at"), ("created_at",)),
    document="outcome",
)

APPLICATION_SESSIONS: Final = purpose(
    "application_sessions",
    view="trials",
    document="application_session",
    fields=(
        "session_id",
        "application",
        "participant",
        "scenario",
        "group",
        "status",
        "version",
        "started_at",
        "updated_at",
        "completed_at",
    ),
    indexes=(
        ("participant", "created_at"),
        ("scenario", "created_at"),
        ("group", "created_at"),
        ("status", "created_at"),
        ("session_id",),
        ("created_at",),
    ),
)

MEASUREMENTS: Final = purpose(
    "measurements",
    view="measured",
    fields=("session_id", "name", "value", "unit", "measured_at"),
    indexes=(("session_id", "created_at"), ("name", "created_at"), ("created_at",)),
    document="measurements",
    is_stream=True,
)

SCORES: Final = purpose(
    "scores",
    view="scored",
    fields=("session_id", "name", "value", "max_value", "scored_at", "note"),
    indexes=(("session_id", "created_at"), ("name", "created_at"), ("created_at",)),
    document="scores",
    is_stream=True,
)

EXPERIMENTS: Final = purpose(
    "experiments",
    view="designs",
    fields=("name", "note"),
    indexes=(("name",), ("created_at",)),
    document="experiment",
)

ASSIGNMENTS: Final = purpose(
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

BUILT_IN: Final = (
    PLANNER_SESSIONS,
    *HOOK_EVENTS.values(),
    CONVERSATIONS,
    FOCUS_CHAINS,
    OUTCOMES,
    APPLICATION_SESSIONS,
    MEASUREMENTS,
    SCORES,
    EXPERIMENTS,
    ASSIGNMENTS,
)
