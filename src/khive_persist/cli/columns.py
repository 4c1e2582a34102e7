"""Columns of tables: what each holds, and which gives way first on a narrow terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

Kind = Literal["text", "prose", "path", "key", "id", "time", "number", "state"]

GAP: Final = 2
# Of these a part says something; a part of a number or a time would be another one.
_CUT_LAST: Final = ("text",)
_CUT_FIRST: Final = ("prose", "path")
_READABLE_CELLS: Final = 10


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: The name, as in JSON and in a pipe.
        label: The heading on a terminal; empty for the name.
        kind: The sort of its values. `prose` and `path` give way first, `text` next. A `key` is
            taken by a command, and stays whole; an `id` is shortened to a beginning that is enough.
            A `time` is written as the person wants times, a `number` stands at the right, a `state`
            has the colour of its word.
        minimum: The cells that a `text`, `prose` or `path` keeps at least for what is longer.
        priority: The columns of the highest leave first where not all fit, from the right.
    """

    name: str
    label: str = ""
    kind: Kind = "text"
    minimum: int = 8
    priority: int = 2

    @property
    def heading(self) -> str:
        """The heading on a terminal."""
        return self.label or self.name


# What a name means is the same in every table.
_BY_NAME: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        Column("time", kind="time", priority=0),
        Column("created_at", kind="time", priority=1),
        Column("started", kind="time", priority=4),
        Column("first", kind="time", priority=3),
        Column("last", kind="time", priority=1),
        Column("session", kind="id", priority=0),
        Column("session_id", label="session", kind="id", priority=0),
        Column("day", priority=0),
        Column("model", minimum=12, priority=0),
        *(
            Column(name, kind="key", priority=0)
            for name in (
                "id",
                "file",
                "name",
                "purpose",
                "experiment",
                "variant",
                "metric",
                "group",
            )
        ),
        Column("project", kind="path", minimum=12, priority=1),
        Column("tool", minimum=11, priority=0),
        Column("event_type", minimum=13, priority=1),
        Column("tool_name", minimum=6, priority=3),
        Column("result", kind="state", priority=2),
        Column("what", kind="prose", minimum=8, priority=1),
        Column("task", kind="prose", minimum=20, priority=1),
        Column("title", kind="prose", minimum=20, priority=1),
        Column("task_description", label="task", kind="prose", minimum=20, priority=3),
        Column("item", kind="prose", minimum=14, priority=0),
        Column("reason", kind="prose", minimum=14, priority=1),
        Column("problem", kind="prose", minimum=14, priority=1),
        Column("path", kind="path", minimum=14, priority=1),
        Column("transcript", kind="path", minimum=14, priority=2),
        Column("known as", kind="path", minimum=12, priority=4),
        Column("merged", kind="path", minimum=12, priority=4),
        Column("complexity", priority=4),
        Column("agent_count", label="agents", priority=4),
        Column("confidence", label="sure", priority=3),
        Column("planning_cost", label="cost", priority=3),
        Column("events", priority=3),
        Column("failures", label="failed", priority=2),
        Column("messages", priority=4),
        Column("plans", priority=4),
        Column("verdict", kind="state", priority=1),
        Column("state", kind="state", priority=0),
        Column("status", kind="state", priority=0),
    )
}

_COLOURS: Final = {
    **dict.fromkeys(("ok", "success", "sound", "installed", "completed", "here"), "green"),
    **dict.fromkeys(("failed", "failure", "gone", "damaged", "unreadable", "stale"), "red"),
    **dict.fromkeys(("denied", "partial", "untrusted", "dropped", "abandoned"), "yellow"),
    **dict.fromkeys(("open", "running", "in_progress", "active"), "cyan"),
}


def column_of(column: str | Column) -> Column:
    """Return the column of a name, as it is in every table; a column as it is."""
    return _BY_NAME.get(column, Column(column)) if isinstance(column, str) else column


def colour_of(column: Column, text: str) -> str | None:
    """Return the colour of a cell: of what happened, or of what it is to be found by."""
    if column.kind == "state":
        return _COLOURS.get(text.partition(" ")[0], None)
    if column.name in ("failures", "failed") and text.strip() not in ("-", "0"):
        return "red"
    if column.name == "problem":
        return "red"
    return "yellow" if column.kind == "id" else None


def fit(columns: Sequence[Column], widths: Sequence[int], total: int) -> dict[int, int]:
    """Choose the columns that a line of so many cells has room for, and the width of each.

    Args:
        columns: All columns, in order.
        widths: The cells that each would need to be whole.
        total: The cells of a line.

    Returns:
        Widths by the places of the columns that stay.
    """
    floors = [
        min(width, max(column.minimum, len(column.heading)))
        if column.kind in _CUT_LAST + _CUT_FIRST
        else width
        for column, width in zip(columns, widths, strict=True)
    ]
    visible = list(range(len(columns)))
    while (room := total - sum(floors[i] for i in visible) - GAP * (len(visible) - 1)) < 0:
        if len(visible) == 1:
            return {visible[0]: total}
        visible.remove(max(visible, key=lambda i: (columns[i].priority, i)))
    fitted = {i: floors[i] for i in visible}
    readable = [min(width, _READABLE_CELLS) for width in widths]
    for limits, kinds in ((readable, _CUT_FIRST), (widths, _CUT_LAST), (widths, _CUT_FIRST)):
        room = _widen(fitted, limits, room, (i for i in visible if columns[i].kind in kinds))
    return fitted


def _widen(fitted: dict[int, int], widths: Sequence[int], room: int, places: Iterable[int]) -> int:
    """Give what room there is to these columns in equal parts, and return what is left."""
    narrow = sorted((i for i in places if widths[i] > fitted[i]), key=lambda i: widths[i])
    for count, i in zip(range(len(narrow), 0, -1), narrow, strict=True):
        part = min(widths[i] - fitted[i], room // count)
        fitted[i] += part
        room -= part
    return room
