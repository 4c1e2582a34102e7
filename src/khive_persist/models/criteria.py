"""The filters that the command line, HTTP and functions have in common, each by its name."""

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from khive_persist.models.query import Field, Filter, column, field

Kind = Literal["text", "tool", "time", "number"]
Comparison = Literal["=", ">=", "<", "<="]

_COMPARE: Final[dict[Comparison, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Criterion(NamedTuple):
    """One filter.

    Attributes:
        kind: The kind of its value.
        about: The description, one line.
        comparison: The comparison of the record's value with the filter's.
        path: The record's value: a field of its content, or `created_at`.
    """

    kind: Kind
    about: str
    comparison: Comparison
    path: str

    @property
    def sql(self) -> str:
        """The condition over a table that has the field as a column of the same name."""
        return f"{self.path} {self.comparison} ?"

    def filter(self, value: str | float | datetime) -> Filter:
        """Return the filter for a value.

        Raises:
            InvalidQueryError: It cannot be compared with that.
        """
        operand: Field = column("created_at") if self.path == "created_at" else field(self.path)
        result: Filter = _COMPARE[self.comparison](operand, value)
        return result


CRITERIA: Final = {
    "session": Criterion(
        "text", "Of the session with this id, or a beginning of it.", "=", "session_id"
    ),
    "type": Criterion("text", "Of this event type, as in pre_command.", "=", "event_type"),
    "tool_name": Criterion("text", "Of this tool of the client, as in Bash.", "=", "tool_name"),
    "tool": Criterion("tool", "Of this AI tool.", "=", "tool"),
    "since": Criterion("time", "Not before.", ">=", "created_at"),
    "until": Criterion("time", "Before.", "<", "created_at"),
    "complexity": Criterion(
        "text", "Of this complexity, as in simple or complex.", "=", "complexity"
    ),
    "min_confidence": Criterion(
        "number", "Of at least this confidence, 0 to 1.", ">=", "confidence"
    ),
    "min_cost": Criterion(
        "number", "Of at least this planning_cost, in USD.", ">=", "planning_cost"
    ),
    "max_cost": Criterion(
        "number", "Of at most this planning_cost, in USD.", "<=", "planning_cost"
    ),
    "verdict": Criterion("text", "Whose verdict that counts is this.", "=", "verdict"),
}
TIMES: Final = ("since", "until")
OF_PLANS: Final = ("complexity", "min_confidence", "max_cost")


def has_failed() -> Filter:
    """Match events that say of themselves that they failed."""
    return field("success") == False  # noqa: E712 - a filter


def filters_of(**values: str | float | datetime | None) -> list[Filter]:
    """Return the filters of these values, by the names of criteria; None lets everything pass.

    Raises:
        InvalidQueryError: One cannot be compared with its value.
    """
    return [CRITERIA[name].filter(value) for name, value in values.items() if value is not None]
