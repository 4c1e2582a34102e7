"""The report of one day or week: its figures, beside those of the day or week before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.analytics.outcomes import calibration
from khive_persist.analytics.periodic_report.document import (
    DayTotals,
    ExpensiveSession,
    FailingTool,
    GroupTotals,
    OutcomeCount,
    PeriodTotal,
    SeriesTotals,
)
from khive_persist.analytics.periodic_report.period import Kind, Period, chosen
from khive_persist.analytics.periodic_report.previous_period import compare_periods
from khive_persist.analytics.periodic_report.summary import sentences
from khive_persist.analytics.periodic_report.totals import (
    BY,
    By,
    PeriodTotals,
    SessionCost,
    Totals,
    compute_totals,
)
from khive_persist.errors import MissingExtraError
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.activity import PlanTotals, Time, latest, plan_totals, verdict_counts
from khive_persist.sessions.application_activity import (
    PURPOSES,
    Applications,
    Name,
    Series,
    applications,
    series,
)
from khive_persist.sessions.projects import ProjectResults, read_everywhere
from khive_persist.sessions.titles import read_titles
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


class _PeriodFacts(NamedTuple):
    """The facts of one of the two periods."""

    totals: Totals
    plans: PlanTotals
    verdicts: dict[str, int]
    applications: Applications


async def report_everywhere(
    kind: Kind, at: datetime | None = None, current_time: datetime | None = None
) -> ProjectResults[dict[str, Any]]:
    """Return a report on each project by itself, all on the same day or week; see `read_report`."""
    instant = clock.now() if current_time is None else current_time
    return await read_everywhere(lambda project: read_report(project, kind, at, instant))


async def read_report(
    project: Project, kind: Kind, at: datetime | None = None, current_time: datetime | None = None
) -> dict[str, Any]:
    """Return the report as one JSON document, in memory of a number for each session compared.

    Application sessions are of the time in which they began, scores and measurements of that in
    which they were taken. Days are those of UTC, weeks begin on Monday. A tool call counts by its
    end, once; one without an end does not. Costs are of messages, when they were said, as far as
    they have a price.

    Args:
        project: The project; what waits in its spool is brought in first.
        kind: Whether of a day or a week.
        at: An instant in it; None for the last one that is over.
        current_time: The present instant; None for the clock's.

    Returns:
        The fields of a `PeriodReport`.

    Raises:
        InvalidQueryError: There is no such period.
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    current_time = clock.now() if current_time is None else current_time
    period = chosen(kind, at, current_time)
    time, previous = period.time, period.previous.time
    prices = PriceTable(configuration.load(project.config).cost_prices)
    totals = await compute_totals(project, period, prices, SESSIONS)
    last = await _last_record(project, time.until)
    async with reading(project, PLANNER_SESSIONS, OUTCOMES, *PURPOSES) as reader:
        names = [*await series(reader, time, SERIES), *await series(reader, previous, SERIES)]
        names = list(dict.fromkeys(names))
        measured = await series(reader, time, len(names), names)
        measured_before = await series(reader, previous, len(names), names)
        facts = await _facts(reader, time, totals.current)
        facts_before = await _facts(reader, previous, totals.previous)
    async with reading(project, *EVENT_FILES.values()) as reader:
        tools = await slowest_tools(reader, time, previous, TOOLS)
        failures = await failing_tools(reader, time, previous, FAILURES)
    async with reading(
        project, *EVENT_FILES.values(), CONVERSATIONS, APPLICATION_SESSIONS
    ) as reader:
        titles = await read_titles(
            reader, {session.session_id: None for session in totals.most_expensive}
        )
    document: dict[str, Any] = {
        "period": period.kind,
        "name": period.name,
        "since": time.since,
        "until": time.until,
        "before": {"name": period.previous.name, **previous._asdict()},
        "is_running": period.is_running(current_time),
        "is_empty": last is None or last < time.since,
        "last_record": last,
        "totals": _totals(facts, facts_before),
        "days": _days(totals, period, current_time),
        "tools": [tool._asdict() for tool in tools],
        "failures": [_failure(failure) for failure in failures],
        "by": {by: _groups(totals, by) for by in BY},
        "outcomes": _outcomes(facts, facts_before),
        "series": _series(names, measured, measured_before),
        "sessions": [
            _session(session, titles.get(session.session_id)) for session in totals.most_expensive
        ],
        "calibration": await _calibration(project, period),
        **await _comparison(project, period, _asked(facts, names)),
    }
    return document | {"sentences": [*sentences(document)]}


async def _facts(reader: Reader, time: Time, totals: Totals) -> _PeriodFacts:
    return _PeriodFacts(
        totals,
        await plan_totals(reader, time),
        await verdict_counts(reader, time),
        await applications(reader, time),
    )


async def _last_record(project: Project, until: str) -> str | None:
    """Return the time of the last record of any kind before an instant, a user's own among them."""
    times = []
    for purpose in known_purposes(project):
        async with reading(project, purpose) as reader:
            times.append(await latest(reader, [purpose], until))
    return max((at for at in times if at is not None), default=None)


def _totals(current: _PeriodFacts, previous: _PeriodFacts) -> list[PeriodTotal]:
    pairs = zip(_figures(current), _figures(previous), strict=True)
    return [
        {"name": name, "unit": unit, "now": value, "before": other, "change": _change(value, other)}
        for (name, unit, value), (_, _, other) in pairs
    ]


def _figures(facts: _PeriodFacts) -> list[tuple[str, str, float | None]]:
    totals = facts.totals
    return [
        ("sessions", "", totals.sessions),
        ("events", "", totals.events),
        ("tool_calls", "", totals.calls),
        ("failures", "", totals.failures),
        ("failure_rate", "", totals.failures / totals.calls if totals.calls else None),
        ("messages", "", totals.messages),
        ("tokens", "", totals.tokens),
        ("cost", "USD", totals.cost),
        ("unpriced_messages", "", totals.unpriced),
        ("plans", "", facts.plans.plans),
        ("planning_cost", "USD", facts.plans.cost),
        *((f"verdict_{word}", "", facts.verdicts.get(word, 0)) for word in _VERDICTS),
        ("application_sessions", "", facts.applications.sessions),
        ("completed", "", facts.applications.completed),
    ]


def _change(current: float | None, previous: float | None) -> float | None:
    return current / previous - 1 if current is not None and previous else None


def _days(totals: PeriodTotals, period: Period, current_time: datetime) -> list[DayTotals]:
    today = clock.to_text(current_time)
    days = [*period.previous.days(), *period.days()]
    return [
        {
            "day": day,
            "events": day_totals.events,
            "failures": day_totals.failures,
            "sessions": day_totals.sessions,
            "tokens": day_totals.tokens,
            "cost": day_totals.cost,
            "unpriced": day_totals.unpriced,
        }
        for day in days
        # Of days to come nothing can be said; a record from a wrong clock is shown, though.
        if day < today or day in totals.days
        for day_totals in [totals.days.get(day, Totals())]
    ]


def _outcomes(current: _PeriodFacts, previous: _PeriodFacts) -> list[OutcomeCount]:
    """Return those of application sessions, the most frequent first."""
    mine, others = current.applications.outcomes, previous.applications.outcomes
    return [
        {"outcome": name, "now": mine.get(name, 0), "before": others.get(name, 0)}
        for name in list(dict.fromkeys([*mine, *others]))[:OUTCOME_WORDS]
    ]


def _series(
    names: Sequence[Name], current: Mapping[Name, Series], previous: Mapping[Name, Series]
) -> list[SeriesTotals]:
    entries = [
        (*name, current.get(name, _NO_SERIES), previous.get(name, _NO_SERIES))
        for name in sorted(names)
    ]
    return [
        {
            "kind": kind,
            "name": name,
            "unit": values.unit or other.unit,
            "values": values.values,
            "sessions": values.sessions,
            "mean": values.mean,
            "smallest": values.smallest,
            "largest": values.largest,
            "values_before": other.values,
            "mean_before": other.mean,
        }
        for kind, name, values, other in entries
    ]


def _asked(facts: _PeriodFacts, series: Sequence[Name]) -> list[str]:
    """Return the metrics of what application sessions have, which have names of their own."""
    outcomes = list(facts.applications.outcomes)[:COMPARED_OUTCOMES]
    return [
        *(f"application:outcome={outcome}" for outcome in outcomes),
        # A name with an equals sign would ask for a value, as in plan:PATH=VALUE.
        *(f"{kind}:{name}" for kind, name in series if "=" not in name),
    ]


def _failure(tool: ToolFailures) -> FailingTool:
    message = next(iter((tool.example or "").strip().splitlines()), None)
    return {
        "tool": tool.tool,
        "tool_name": tool.tool_name,
        "count": tool.failed,
        "before": tool.previously_failed,
        "example": None if message is None else message[:ERROR_CHARACTERS],
    }


def _groups(totals: PeriodTotals, by: By) -> list[GroupTotals]:
    """Return the dearest groups; the last, of None, is all others and what has no group."""
    groups = [(name, *pair) for name, pair in totals.groups[by].items() if name]
    groups.sort(key=_dearness, reverse=True)
    others, others_previous = Totals(), Totals()
    of_none = totals.groups[by].get("", (Totals(), Totals()))
    for _, current, previous in [*groups[GROUPS:], ("", *of_none)]:
        others.add(current)
        others_previous.add(previous)
    entries: list[tuple[str | None, Totals, Totals]] = [*groups[:GROUPS]]
    if any(group.events or group.messages or group.sessions for group in (others, others_previous)):
        entries.append((None, others, others_previous))
    return [
        {
            "group": name,
            "sessions": current.sessions,
            "tokens": current.tokens,
            "cost": current.cost,
            "unpriced": current.unpriced,
            "cost_before": previous.cost,
            "unpriced_before": previous.unpriced,
        }
        for name, current, previous in entries
    ]


def _dearness(group: tuple[str, Totals, Totals]) -> tuple[float, int, int, float]:
    _, current, previous = group
    return current.cost or 0, current.tokens, current.sessions, previous.cost or 0


def _session(session: SessionCost, title: str | None) -> ExpensiveSession:
    first, last = clock.from_column(session.first), clock.from_column(session.last)
    return {
        "session_id": session.session_id,
        "title": title,
        "tool": session.tool or None,
        "project": session.project or None,
        "cost": session.cost,
        "unpriced": session.unpriced,
        "failures": session.failures,
        "duration_seconds": (last - first).total_seconds() if first and last else None,
    }


async def _calibration(project: Project, period: Period) -> dict[str, Any] | None:
    result = await calibration(dir=project.root, since=period.since, until=period.until)
    return result.as_document() if result.judged else None


async def _comparison(project: Project, period: Period, also: Sequence[str]) -> dict[str, Any]:
    try:
        compared = await compare_periods(project, period, also)
    except MissingExtraError as error:
        # The rest of the report needs no statistics.
        return {"comparison": None, "comparison_missing": str(error)}
    return {"comparison": compared, "comparison_missing": None}
