"""The metrics there are, and how one is asked for by its name."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, NamedTuple

from khive_persist.analytics.compare.metric import Metric
from khive_persist.errors import InvalidQueryError
from khive_persist.sessions.facts import SessionFacts
from khive_persist.store import codec

Value = Callable[[SessionFacts], float | None]


class Measured(NamedTuple):
    """A metric, and its value in a session; None where the session has none."""

    metric: Metric
    value: Value


def _planned(name: str) -> Value:
    return lambda one: _number(one.plan.get(name))


def _success(one: SessionFacts) -> float | None:
    return None if one.verdict is None else float(one.verdict == "success")


_BUILT_IN: Final = (
    Measured(
        Metric("planning_cost", "what the plan says that planning cost; sessions with a plan",
               "USD"),
        _planned("planning_cost"),
    ),
    Measured(
        Metric("confidence", "the plan's confidence, 0 to 1; sessions with a plan"),
        _planned("confidence"),
    ),
    Measured(
        Metric("cost", "what all messages cost by the price table; sessions whose every message"
               " has a price", "USD"),
        lambda one: one.cost,
    ),
    Measured(
        Metric("tokens", "tokens of all classes over all messages; sessions with a transcript"),
        lambda one: one.tokens,
    ),
    Measured(
        Metric("duration", "from the first event or message to the last, pauses included", "s"),
        lambda one: one.duration_seconds,
    ),
    Measured(
        Metric("tool_calls", "tool calls, each once; sessions with events"),
        lambda one: one.tool_calls,
    ),
    Measured(
        Metric("failures", "tool calls that failed or were refused; sessions with events"),
        lambda one: one.failures,
    ),
    Measured(
        Metric("agents", "agents that the session started; sessions with events or messages"),
        lambda one: one.agents,
    ),
    Measured(
        Metric("todos_finished", "to-dos that were completed; sessions with a to-do list"),
        lambda one: one.todos_finished,
    ),
    Measured(
        Metric("success", "whether the verdict is success; sessions with a verdict", "", "share"),
        _success,
    ),
)  # fmt: skip

NAMES: Final = tuple(one.metric.name for one in _BUILT_IN)
_SERIES: Final = ("score", "measurement")
_CONTENTS: Final = {"plan": "the plan's content", "application": "the application's session"}
PATTERNS: Final = (
    *(f"{kind}:NAME" for kind in _SERIES),
    *(f"{kind}:PATH{value}" for kind in _CONTENTS for value in ("", "=VALUE")),
)


def measured(name: str) -> Measured:
    """The metric of a name.

    Besides those in `NAMES`:
        `score:NAME`, `measurement:NAME`: the mean of a session's scores, or measurements, of this
            name.
        `plan:PATH`, `application:PATH`: a number in the content of its plan, or of an application's
            session.
        `plan:PATH=VALUE`, `application:PATH=VALUE`: whether this value, as text, stands there; of
            the sessions in which anything does.

    Raises:
        InvalidQueryError: There is none.
    """
    for one in _BUILT_IN:
        if one.metric.name == name:
            return one
    kind, _, path = name.partition(":")
    path, equals, value = path.partition("=")
    if path and kind in _CONTENTS and equals:
        metric = Metric(
            name, f"whether {path} of {_CONTENTS[kind]} is {value}; sessions that have it",
            "", "share",
        )  # fmt: skip
        return Measured(metric, lambda one: _is(at(getattr(one, kind), path), value))
    if path and kind in _CONTENTS:
        metric = Metric(name, f"the number {path} of {_CONTENTS[kind]}")
        return Measured(metric, lambda one: _number(at(getattr(one, kind), path)))
    if path and kind in _SERIES and not equals:
        metric = Metric(name, f"the mean of a session's {kind}s named {path}")
        return Measured(metric, lambda one: getattr(one, f"{kind}s").get(path))
    raise InvalidQueryError(
        f"no metric {name!r}", hint=f"one of {', '.join(NAMES)}, {', '.join(PATTERNS)}"
    )


def at(content: Mapping[str, Any], path: str) -> Any:
    """Return what lies in a content at a dotted path; None where nothing does."""
    value: Any = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is(found: Any, value: str) -> float | None:
    """1 or 0; None where nothing stands there. What is no text is meant as JSON spells it."""
    if found is None:
        return None
    return float(value == (found if isinstance(found, str) else codec.dump_lossy(found)))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        # An integer beyond all floats: it is there, and nothing can be counted with it.
        return inf if value > 0 else -inf
