"""The tables of a comparison, for other programs: sessions, what was measured in them, all figures.

Each says of every column what it is, so that a codebook and the scripts that read the files can be
made of it.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from khive_persist.analytics.compare import grouping, metrics
from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.comparison import ExperimentAssignments, MetricComparison
from khive_persist.analytics.compare.experiment import definition
from khive_persist.analytics.compare.pseudonyms import pseudonym
from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.report.figures import (
    GROUP_COLUMNS,
    figures,
    group_rows,
    reasons,
)
from khive_persist.models.purposes import CONVERSATIONS, MEASUREMENTS, SCORES, Purpose
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.facts import SessionFacts, session_facts
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select

_SESSIONS_AT_ONCE: Final = 256
Kind = Literal["text", "number", "time"]
Rows = AsyncGenerator[Sequence[Cell], None]


class Column(NamedTuple):
    """One column: `label` says what it holds."""

    name: str
    kind: Kind
    label: str


class Table(NamedTuple):
    """One table; `rows` reads them anew each time it is called."""

    name: str
    columns: tuple[Column, ...]
    rows: Callable[[], Rows]


def tables(
    project: Project,
    collected: CollectedSamples,
    comparisons: list[MetricComparison],
    key: bytes | None = None,
) -> list[Table]:
    """Return all tables of a comparison, in flat memory.

    Args:
        collected: As it was collected; its sessions are read again.
        key: The key of pseudonyms for sessions and participants; None leaves their names. With
            pseudonyms, what was said in a session stays out, too.
    """
    name = (lambda text: text) if key is None else partial(pseudonym, key)
    listed = partial(_of_sessions, project, collected, name)
    result = [
        Table("summary", _SUMMARY, lambda: _rows(group_rows(comparisons))),
        Table(
            "tests",
            _TESTS,
            lambda: _rows(row for comparison in comparisons for row in figures(comparison)),
        ),
        Table("definitions", _DEFINITIONS, lambda: _rows(_definitions(collected, comparisons))),
        Table("sessions", _session_columns(collected), lambda: _sessions(project, collected, name)),
        Table("scores", _SCORES, lambda: listed(SCORES, _SCORES)),
        Table("measurements", _MEASUREMENTS, lambda: listed(MEASUREMENTS, _MEASUREMENTS)),
    ]
    if key is None:
        result.append(Table("messages", _MESSAGES, lambda: listed(CONVERSATIONS, _MESSAGES)))
    return result


_SUMMARY: Final = tuple(
    Column(name, "text" if name in ("metric", "group") else "number", label)
    for name, label in zip(
        GROUP_COLUMNS,
        ("metric", "group of sessions", "sessions with a value", "mean",
         "standard deviation (n - 1)", "median", "lower quartile", "upper quartile",
         "smallest value", "largest value", "values beyond the whiskers of R's boxplot.stats",
         "sessions without a value", "Shapiro-Wilk W", "p of Shapiro-Wilk; 1e-12 stands for less"),
        strict=True,
    )
)  # fmt: skip
_TESTS: Final = (
    Column("metric", "text", "metric"),
    Column("test", "text", "test or quantity"),
    Column("figure", "text", "which figure of it"),
    Column("value", "text", "the figure; a reason where there is no test"),
)
_DEFINITIONS: Final = (
    Column("metric", "text", "metric, or what sessions are grouped by"),
    Column("definition", "text", "what is counted, over which sessions"),
    Column("unit", "text", "unit of a value"),
    Column("kind", "text", "number, share of 1 and 0, or group"),
    Column("left_out", "text", "why sessions have no value, and how many, by group"),
)
_SESSION: Final = Column("session_id", "text", "session")
_ASSIGNED: Final = (
    Column("method", "text", "how the session was assigned its group: random, or named"),
    Column("is_late", "number", "1 where that was after its work had begun"),
)
_AT: Final = Column("created_at", "time", "when, in UTC")
_SCORES: Final = (
    _SESSION, _AT, Column("name", "text", "what was scored"),
    Column("value", "number", "the score"), Column("max_value", "number", "the most it could be"),
)  # fmt: skip
_MEASUREMENTS: Final = (
    _SESSION, _AT, Column("name", "text", "what was measured"),
    Column("value", "number", "the value"), Column("unit", "text", "its unit"),
)  # fmt: skip
_MESSAGES: Final = (
    _SESSION, _AT, Column("role", "text", "who spoke"), Column("model", "text", "model"),
    Column("text", "text", "what was said"),
)  # fmt: skip


def _session_columns(collected: CollectedSamples) -> tuple[Column, ...]:
    return (
        _SESSION,
        Column("group", "text", f"group, by {collected.by}"),
        *(_ASSIGNED if collected.experiment is not None else ()),
        Column("participant", "text", "who worked in it"),
        Column("scenario", "text", "what was worked on"),
        Column("started", "time", "its begin, in UTC"),
        *(
            Column(_plain(metric.name), "number", f"{metric.name}: {metric.definition}")
            for metric in collected.samples
        ),
    )


def _plain(name: str) -> str:
    """Return a name that other programs take for a column."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


async def _rows(rows: Any) -> Rows:
    for row in rows:
        yield row


def _definitions(collected: CollectedSamples, comparisons: list[MetricComparison]) -> Any:
    if (experiment := collected.experiment) is not None:
        is_out = experiment.late_named and not experiment.with_late
        left_out = f"{experiment.late_named} assigned late, by name" if is_out else ""
        yield collected.by, definition(experiment), "", "group", left_out
    for comparison in comparisons:
        yield (*comparison.metric, "; ".join(reasons(comparison)))


async def _members(
    project: Project, collected: CollectedSamples
) -> AsyncGenerator[tuple[str, SessionFacts], None]:
    with_late = collected.experiment is not None and collected.experiment.with_late
    group_of = grouping.key(collected.by, with_late=with_late)
    async with aclosing(session_facts(project)) as sessions:
        async for session in sessions:
            group = group_of(session)
            if group in collected.groups and collected.span.covers(session.started):
                yield group, session


async def _sessions(
    project: Project, collected: CollectedSamples, name: Callable[[str], str]
) -> Rows:
    values = [metrics.measured(metric.name).value for metric in collected.samples]
    async with aclosing(_members(project, collected)) as members:
        async for group, session in members:
            participant = session.application.get("participant")
            scenario = session.application.get("scenario")
            yield (
                name(session.session_id), group, *_assigned(collected.experiment, session),
                name(participant) if isinstance(participant, str) else None,
                scenario if isinstance(scenario, str) else None, session.started,
                *(value(session) for value in values),
            )  # fmt: skip


def _assigned(experiment: ExperimentAssignments | None, session: SessionFacts) -> tuple[Cell, ...]:
    if experiment is None:
        return ()
    assigned = session.assignments[experiment.name]
    return assigned.method, int(assigned.is_late)


async def _of_sessions(
    project: Project,
    collected: CollectedSamples,
    name: Callable[[str], str],
    purpose: Purpose,
    columns: Sequence[Column],
) -> Rows:
    """Return the rows of another purpose that are of the sessions compared."""
    session_ids: list[str] = []
    async with (
        reading(project, purpose) as reader,
        aclosing(_members(project, collected)) as members,
    ):
        async for _, session in members:
            session_ids.append(session.session_id)
            if len(session_ids) == _SESSIONS_AT_ONCE:
                async with aclosing(_page(reader, session_ids, columns, name)) as rows:
                    async for row in rows:
                        yield row
                session_ids = []
        async with aclosing(_page(reader, session_ids, columns, name)) as rows:
            async for row in rows:
                yield row


async def _page(
    reader: Reader, sessions: list[str], columns: Sequence[Column], name: Callable[[str], str]
) -> Rows:
    def build(source: Source) -> Statement:
        expressions = ", ".join(
            source.created_at if column is _AT else source.extract(f"$.{column.name}")
            for column in columns
        )
        return select(source, [field("session_id").in_(sessions)], columns=expressions)

    if not sessions:
        return
    async with aclosing(reader.stream(build)) as rows:
        async for session, *cells in rows:
            yield (
                name(session),
                *(cell if isinstance(cell, str | int | float) else None for cell in cells),
            )
