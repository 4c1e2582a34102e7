"""The document of a report, as `read_report` gives it."""

from typing_extensions import TypedDict

from khive_persist.analytics.compare.comparison import MetricComparison
from khive_persist.analytics.outcomes import Calibration
from khive_persist.analytics.periodic_report.period import Kind
from khive_persist.analytics.periodic_report.totals import By
from khive_persist.clock import InstantText
from khive_persist.sessions.application_activity import SeriesKind
from khive_persist.sessions.tool_calls import ToolTimes


class PreviousPeriod(TypedDict):
    """The day or the week before."""

    name: str
    since: InstantText
    until: InstantText


class PeriodTotal(TypedDict):
    """One figure of a period, beside that of the one before.

    Attributes:
        change: The change as a share of the figure before; None where there is no such share.
    """

    name: str
    unit: str
    now: float | None
    before: float | None
    change: float | None


class DayTotals(TypedDict):
    """The totals of one day, of either period."""

    day: str
    events: int
    failures: int
    sessions: int
    tokens: int
    cost: float | None
    unpriced: int


class FailingTool(TypedDict):
    """The calls of one tool that failed or were refused.

    Attributes:
        example: The first line of what was said of the latest.
    """

    tool: str
    tool_name: str | None
    count: int
    before: int
    example: str | None


class OutcomeCount(TypedDict):
    """The application sessions that have one outcome."""

    outcome: str
    now: int
    before: int


class SeriesTotals(TypedDict):
    """The scores, or the measurements, of one name."""

    kind: SeriesKind
    name: str
    unit: str | None
    values: int
    sessions: int
    mean: float | None
    smallest: float | None
    largest: float | None
    values_before: int
    mean_before: float | None


class GroupTotals(TypedDict):
    """The totals of one model, project or tool; of None, those of all others together."""

    group: str | None
    sessions: int
    tokens: int
    cost: float | None
    unpriced: int
    cost_before: float | None
    unpriced_before: int


class ExpensiveSession(TypedDict):
    """One of the sessions that cost most."""

    session_id: str
    title: str | None
    tool: str | None
    project: str | None
    cost: float
    unpriced: int
    failures: int
    duration_seconds: float | None


class PeriodReport(TypedDict):
    """A day or a week, beside the one before.

    Attributes:
        is_empty: Whether nothing at all was recorded in it.
        last_record: The time of the latest record until its end.
        days: The days of both periods, those to come left out.
        outcomes: The outcomes of application sessions, the most frequent first.
        calibration: None where no plan has both a confidence and a verdict.
        comparison: The sessions set against those of the period before; None where scipy is
            missing.
        comparison_missing: The reason why there is no comparison.
        sentences: The summary, the most important first.
    """

    period: Kind
    name: str
    since: InstantText
    until: InstantText
    before: PreviousPeriod
    is_running: bool
    is_empty: bool
    last_record: InstantText | None
    totals: list[PeriodTotal]
    days: list[DayTotals]
    tools: list[ToolTimes]
    failures: list[FailingTool]
    by: dict[By, list[GroupTotals]]
    outcomes: list[OutcomeCount]
    series: list[SeriesTotals]
    sessions: list[ExpensiveSession]
    calibration: Calibration | None
    comparison: list[MetricComparison] | None
    comparison_missing: str | None
    sentences: list[str]
