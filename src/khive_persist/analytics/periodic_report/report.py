"""The report of one day or week: its figures, beside those of the day or week before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.analytics.outcomes import calibration
from khive_persist.analytics.periodic_report.period import Kind, Period, chosen
from khive_persist.analytics.periodic_report.previous_period import compare_periods
from khive_persist.analytics.periodic_report.summary import sentences
from khive_persist.analytics.periodic_report.totals import BY, Dear, Sum, Sums, add_up
from khive_persist.errors import MissingExtraError
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.activity import PlansMade, Time, latest, plans_made, verdicts_given
from khive_persist.sessions.application_activity import (
    PURPOSES,
    Applications,
    Name,
    Series,
    applications,
    series,
)
from khive_persist.sessions.projects import Everywhere, read_everywhere
from khive_persist.sessions.rollup.titles import read_titles
from khive_persist.sessions.tool_calls import ToolFailures, failing_tools, slowest_tools
from khive_persist.store.reader import Reader

TOOLS: Final = 20
FAILURES: Final = 10
GROUPS: Final = 10
SESSIONS: Final = 10
# Of scores and of measurements each, by name.
SERIES: Final = 10
OUTCOME_WORDS: Final = 10
COMPARED_OUTCOMES: Final = 5
ERROR_CHARACTERS: Final = 200
_NO_SERIES: Final = Series(None, 0, 0, None, None, None)
_VERDICTS: Final = ("success", "partial", "failure")


class _Facts(NamedTuple):
    """What is asked of one of the two periods."""

    sums: Sum
    plans: PlansMade
    verdicts: dict[str, int]
    applications: Applications


async def report_everywhere(
    kind: Kind, at: datetime | None = None, now: datetime | None = None
) -> Everywhere[dict[str, Any]]:
    """A report on each project by itself, all on the same day or week; see `read_report`."""
    now = clock.now() if now is None else now

    async def read(project: Project) -> dict[str, Any]:
        return await read_report(project, kind, at, now)

    return await read_everywhere(read)


async def read_report(
    project: Project, kind: Kind, at: datetime | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """The report as one JSON document, in flat memory but for a number of each session compared.

    Application sessions are of the time in which they began, scores and measurements of that in
    which they were taken. Days are those of UTC, weeks begin on Monday. A tool call counts by its
    end, once; one without an end does not. Costs are of messages, when they were said, as far as
    they have a price.

    Args:
        project: The project; what waits in its spool is brought in first.
        kind: Whether of a day or a week.
        at: An instant in it; None for the last one that is over.
        now: The present instant; None for the clock's.

    Returns:
        `is_empty` says that nothing at all was recorded in it; `last_record` is the time of the
        latest record until its end. Where scipy is missing, `comparison` is None, and
        `comparison_missing` says so.

    Raises:
        InvalidQueryError: There is no such period.
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    now = clock.now() if now is None else now
    period = chosen(kind, at, now)
    time, before = period.time, period.before.time
    prices = PriceTable(configuration.load(project.config).cost_prices)
    sums = await add_up(project, period, prices, SESSIONS)
    last = await _last_record(project, time.until)
    async with reading(project, PLANNER_SESSIONS, OUTCOMES, *PURPOSES) as reader:
        named = [*await series(reader, time, SERIES), *await series(reader, before, SERIES)]
        named = list(dict.fromkeys(named))
        measured = await series(reader, time, len(named), named)
        measured_before = await series(reader, before, len(named), named)
        facts = await _facts(reader, time, sums.now)
        facts_before = await _facts(reader, before, sums.before)
    async with reading(project, *HOOK_EVENTS.values()) as reader:
        tools = await slowest_tools(reader, time, before, TOOLS)
        failures = await failing_tools(reader, time, before, FAILURES)
    async with reading(project, *HOOK_EVENTS.values(), CONVERSATIONS) as reader:
        titles = await read_titles(reader, [one.session_id for one in sums.dearest])
    document: dict[str, Any] = {
        "period": period.kind,
        "name": period.name,
        "since": time.since,
        "until": time.until,
        "before": {"name": period.before.name, **before._asdict()},
        "is_running": period.is_running(now),
        "is_empty": last is None or last < time.since,
        "last_record": last,
        "totals": _totals(facts, facts_before),
        "days": _days(sums, period, now),
        "tools": [tool._asdict() for tool in tools],
        "failures": [_failure(failure) for failure in failures],
        "by": {by: _groups(sums, by) for by in BY},
        "outcomes": _outcomes(facts, facts_before),
        "series": _series(named, measured, measured_before),
        "sessions": [_session(one, titles.get(one.session_id)) for one in sums.dearest],
        "calibration": await _calibration(project, period),
        **await _comparison(project, period, _asked(facts, named)),
    }
    return document | {"sentences": sentences(document)}


async def _facts(reader: Reader, time: Time, sums: Sum) -> _Facts:
    return _Facts(
        sums,
        await plans_made(reader, time),
        await verdicts_given(reader, time),
        await applications(reader, time),
    )


async def _last_record(project: Project, before: str) -> str | None:
    """The time of the last record of any kind before an instant, a user's own among them."""
    found = []
    for purpose in known_purposes(project):
        async with reading(project, purpose) as reader:
            found.append(await latest(reader, [purpose], before))
    return max((at for at in found if at is not None), default=None)


def _totals(now: _Facts, before: _Facts) -> list[dict[str, Any]]:
    both = zip(_figures(now), _figures(before), strict=True)
    return [
        {"name": name, "unit": unit, "now": value, "before": other, "change": _change(value, other)}
        for (name, unit, value), (_, _, other) in both
    ]


def _figures(facts: _Facts) -> list[tuple[str, str, float | None]]:
    sums = facts.sums
    return [
        ("sessions", "", sums.sessions),
        ("events", "", sums.events),
        ("tool_calls", "", sums.calls),
        ("failures", "", sums.failures),
        ("failure_rate", "", sums.failures / sums.calls if sums.calls else None),
        ("messages", "", sums.messages),
        ("tokens", "", sums.tokens),
        ("cost", "USD", sums.cost),
        ("unpriced_messages", "", sums.unpriced),
        ("plans", "", facts.plans.plans),
        ("planning_cost", "USD", facts.plans.cost),
        *((f"verdict_{word}", "", facts.verdicts.get(word, 0)) for word in _VERDICTS),
        ("application_sessions", "", facts.applications.sessions),
        ("completed", "", facts.applications.completed),
    ]


def _change(now: float | None, before: float | None) -> float | None:
    return now / before - 1 if now is not None and before else None


def _days(sums: Sums, period: Period, now: datetime) -> list[dict[str, Any]]:
    today = clock.to_text(now)
    days = [*period.before.days(), *period.days()]
    return [
        {
            "day": day,
            "events": one.events,
            "failures": one.failures,
            "sessions": one.sessions,
            "tokens": one.tokens,
            "cost": one.cost,
            "unpriced": one.unpriced,
        }
        for day in days
        # Of days to come nothing can be said; a record from a wrong clock is shown, though.
        if day < today or day in sums.days
        for one in [sums.days.get(day, Sum())]
    ]


def _outcomes(now: _Facts, before: _Facts) -> list[dict[str, Any]]:
    """Those of application sessions, the most frequent first."""
    mine, others = now.applications.outcomes, before.applications.outcomes
    return [
        {"outcome": name, "now": mine.get(name, 0), "before": others.get(name, 0)}
        for name in list(dict.fromkeys([*mine, *others]))[:OUTCOME_WORDS]
    ]


def _series(
    names: Sequence[Name], now: Mapping[Name, Series], before: Mapping[Name, Series]
) -> list[dict[str, Any]]:
    shown = [
        (*name, now.get(name, _NO_SERIES), before.get(name, _NO_SERIES)) for name in sorted(names)
    ]
    return [
        {
            "kind": kind,
            "name": name,
            **one._asdict(),
            "unit": one.unit or other.unit,
            "values_before": other.values,
            "mean_before": other.mean,
        }
        for kind, name, one, other in shown
    ]


def _asked(facts: _Facts, series: Sequence[Name]) -> list[str]:
    """The metrics of what application sessions have, which have names of their own."""
    outcomes = list(facts.applications.outcomes)[:COMPARED_OUTCOMES]
    return [
        *(f"application:outcome={outcome}" for outcome in outcomes),
        # A name with an equals sign would ask for a value, as in plan:PATH=VALUE.
        *(f"{kind}:{name}" for kind, name in series if "=" not in name),
    ]


def _failure(one: ToolFailures) -> dict[str, Any]:
    said = next(iter((one.example or "").strip().splitlines()), None)
    return {
        "tool": one.tool,
        "tool_name": one.tool_name,
        "count": one.failed,
        "before": one.before,
        "example": None if said is None else said[:ERROR_CHARACTERS],
    }


def _groups(sums: Sums, by: Any) -> list[dict[str, Any]]:
    """The dearest groups; all others together, and what has no group, are the last one, of None."""
    named = [(name, *pair) for name, pair in sums.groups[by].items() if name]
    named.sort(
        key=lambda one: (-(one[1].cost or 0), -one[1].tokens, -one[1].sessions, -(one[2].cost or 0))
    )
    rest, rest_before = Sum(), Sum()
    for _, now, before in [*named[GROUPS:], ("", *sums.groups[by].get("", (Sum(), Sum())))]:
        rest.add(now)
        rest_before.add(before)
    shown: list[tuple[str | None, Sum, Sum]] = [*named[:GROUPS]]
    if any(one.events or one.messages or one.sessions for one in (rest, rest_before)):
        shown.append((None, rest, rest_before))
    return [
        {
            "group": name,
            "sessions": now.sessions,
            "tokens": now.tokens,
            "cost": now.cost,
            "unpriced": now.unpriced,
            "cost_before": before.cost,
            "unpriced_before": before.unpriced,
        }
        for name, now, before in shown
    ]


def _session(one: Dear, title: str | None) -> dict[str, Any]:
    first, last = clock.from_column(one.first), clock.from_column(one.last)
    return {
        "session_id": one.session_id,
        "title": title,
        "tool": one.tool or None,
        "project": one.project or None,
        "cost": one.cost,
        "unpriced": one.unpriced,
        "failures": one.failures,
        "duration_seconds": (last - first).total_seconds() if first and last else None,
    }


async def _calibration(project: Project, period: Period) -> dict[str, Any] | None:
    found = await calibration(dir=project.root, since=period.since, until=period.until)
    return found.as_document() if found.judged else None


async def _comparison(project: Project, period: Period, also: Sequence[str]) -> dict[str, Any]:
    try:
        compared = await compare_periods(project, period, also)
    except MissingExtraError as error:
        # The rest of the report needs no statistics.
        return {"comparison": None, "comparison_missing": str(error)}
    return {"comparison": compared, "comparison_missing": None}
