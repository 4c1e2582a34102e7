"""The metrics there are, and how one is asked for by its name."""

from collections.abc import Callable, Mapping
from math import inf, nan
from typing import Any, Final, NamedTuple

from khive_persist.analytics.compare.metric import Metric
from khive_persist.errors import InvalidQueryError
from khive_persist.sessions.definitions import is_confidence
from khive_persist.sessions.facts import SessionFacts
from khive_persist.store import codec

Value = Callable[[SessionFacts], float | None]


class MeasuredMetric(NamedTuple):
    """A metric, and its value in a session; None where the session has none."""

    metric: Metric
    value: Value


def _planned(name: str) -> Value:
    return lambda session: _number(session.plan.get(name))


def _confidence(session: SessionFacts) -> float | None:
    number = _number(session.plan.get("confidence"))
    return number if number is None or is_confidence(number) else nan


def _success(session: SessionFacts) -> float | None:
    return None if session.verdict is None else float(session.verdict == "success")


_BUILT_IN: Final = (
    MeasuredMetric(
        Metric("planning_cost", "what the plan says that planning cost; sessions with a plan",
               "USD"),
        _planned("planning_cost"),
    ),
    MeasuredMetric(
        Metric("confidence", "the plan's confidence, 0 to 1; sessions with a plan"),
        _confidence,
    ),
    MeasuredMetric(
        Metric("cost", "what all messages cost by the price table; sessions whose every message"
               " has a price", "USD"),
        lambda session: session.cost,
    ),
    MeasuredMetric(
        Metric("tokens", "tokens of all classes over all messages; sessions with a transcript"),
        lambda session: session.tokens,
    ),
    MeasuredMetric(
        Metric("duration", "from the first event or message to the last, pauses included", "s"),
        lambda session: session.duration_seconds,
    ),
    MeasuredMetric(
        Metric("tool_calls", "tool calls, each once; sessions with events"),
        lambda session: session.tool_calls,
    ),
    MeasuredMetric(
        Metric("failures", "tool calls that failed or were refused; sessions with events"),
        lambda session: session.failures,
    ),
    MeasuredMetric(
        Metric("agents", "agents that the session started; sessions with events or messages"),
        lambda session: session.agents,
    ),
    MeasuredMetric(
        Metric("todos_finished", "to-dos that were completed; sessions with a to-do list"),
        lambda session: session.todos_finished,
    ),
    MeasuredMetric(
        Metric("success", "whether the verdict is success; sessions with a verdict", "", "share"),
        _success,
    ),
)  # fmt: skip

NAMES: Final = tuple(entry.metric.name for entry in _BUILT_IN)
_SERIES: Final = ("score", "measurement")
_CONTENTS: Final = {"plan": "the plan's content", "application": "the application's session"}
PATTERNS: Final = (
    *(f"{kind}:NAME" for kind in _SERIES),
    *(f"{kind}:PATH{value}" for kind in _CONTENTS for value in ("", "=VALUE")),
)


def measured(name: str) -> MeasuredMetric:
    """Return the metric of a name.

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
    for entry in _BUILT_IN:
        if entry.metric.name == name:
            return entry
    kind, _, path = name.partition(":")
    path, equals, value = path.partition("=")
    if path and kind in _CONTENTS and equals:
        metric = Metric(
            name, f"whether {path} of {_CONTENTS[kind]} is {value}; sessions that have it",
            "", "share",
        )  # fmt: skip
        return MeasuredMetric(metric, lambda session: _is(at(getattr(session, kind), path), value))
    if path and kind in _CONTENTS:
        metric = Metric(name, f"the number {path} of {_CONTENTS[kind]}")
        return MeasuredMetric(metric, lambda session: _number(at(getattr(session, kind), path)))
    if path and kind in _SERIES and not equals:
        metric = Metric(name, f"the mean of a session's {kind}s named {path}")
        return MeasuredMetric(metric, lambda session: getattr(session, f"{kind}s").get(path))
    raise InvalidQueryError(
        f"no metric {name!r}", hint=f"one of {', '.join(NAMES)}, {', '.join(PATTERNS)}"
    )


def at(content: Mapping[str, Any], path: str) -> Any:
    """Return what lies in a content at a dotted path; None where nothing does."""
    value: Any = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is(content: Any, value: str) -> float | None:
    """Return 1 or 0; None without content. What is no text is compared as JSON spells it."""
    if content is None:
        return None
    return float(value == (content if isinstance(content, str) else codec.dump_lossy(content)))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        # An integer beyond all floats: it is there, and nothing can be counted with it.
        return inf if value > 0 else -inf
