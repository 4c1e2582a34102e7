"""The sessions of a period against those of the one before, by the metrics of `compare`."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from khive_persist.analytics.compare import metrics
from khive_persist.analytics.compare.metric import Sample
from khive_persist.analytics.periodic_report.period import Period
from khive_persist.errors import extra
from khive_persist.project import Project
from khive_persist.sessions.activity import Time
from khive_persist.sessions.facts import session_facts


async def compare_periods(
    project: Project, period: Period, also: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the entries of `compare --json`, with two groups: the period before, and this one.

    By the metrics that need no name of their own, and those of `also`.

    A session is of the period in which it started, and what is counted is all of it. Memory is that
    of a number for each session and metric.

    Raises:
        MissingExtraError: scipy is not installed.
        StoreError: As its subclasses say.
    """
    with extra("analysis", "comparing"):
        from khive_persist.analytics.compare.compare import compare
        from khive_persist.analytics.compare.document import plain
    previous, current = period.previous.time, period.time
    names = {period.previous.name: previous, period.name: current}
    selected = [metrics.measured(name) for name in (*metrics.NAMES, *also)]
    samples = {measured.metric: {name: Sample() for name in names} for measured in selected}
    sessions = session_facts(project, Time(previous.since, current.until))
    async with aclosing(sessions):
        async for session in sessions:
            for name, time in names.items():
                if session.started is not None and time.since <= session.started < time.until:
                    for measured in selected:
                        samples[measured.metric][name].add(measured.value(session))
    return [plain(comparison) for comparison in compare(samples)]
