"""Plans with their outcomes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.analytics.calibration import (
    DEFAULT_BINS,
    Bin,
    Brier,
    CostError,
    CostErrors,
    Reliability,
)
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidQueryError
from khive_persist.models.criteria import filters_of
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import Filter, checked_count, field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.definitions import is_confidence, ruled
from khive_persist.sessions.read import is_known
from khive_persist.sessions.token_totals import TokenTotal, token_totals
from khive_persist.store.numbers import is_countable
from khive_persist.store.reader import Reader

_PLANS_AT_ONCE: Final = 256
_TOKENS: Final = ("input", "cache_read", "cache_write", "output")


class PlanOutcome(NamedTuple):
    """A plan and its outcome. What is not known is None.

    Attributes:
        plan_id: The plan's id.
        session_id: The plan's session.
        agent_session_id: The session that carried it out: `agent_session_id` of the plan's content,
            else its `session_id`.
        planned_at: The time at which it was saved.
        task_description: As the plan has it, like the six that follow.
        complexity: As in simple or complex.
        workflow_pattern: As in parallel.
        confidence: 0 to 1 in a sound plan; an old one may have another number.
        agent_count: The number of agents that it plans.
        planning_cost: In USD.
        is_superseded: Whether a later plan is carried out by the same session; all of what follows
            is the session's, and of its last plan.
        tool: The AI tool.
        started: The first event or message.
        ended: The last one so far.
        duration_seconds: Between the two, pauses included.
        tool_calls: The number that ended, each once.
        failures: Those of them that failed or were refused.
        subagents: Agents that the session started, its own not among them.
        todos: To-dos that were ever on its lists, told by agent and text. Lists of which only hook
            events tell are among them once `focus` has looked at the session.
        todos_finished: Those that were ever completed.
        tokens: Sums by class: `input`, `cache_read`, `cache_write`, `output`.
        actual_cost: In USD; None also where one message has no known price: no part is shown as
            the whole.
        verdict: success, partial or failure.
        verdict_source: person, or rule.
        note: The note to the verdict.
        unpriced: The number of messages without a known price; with any, no cost is told.
    """

    plan_id: str
    session_id: str | None
    agent_session_id: str | None
    planned_at: InstantText | None
    task_description: str | None
    complexity: str | None
    workflow_pattern: str | None
    confidence: float | None
    agent_count: float | None
    planning_cost: float | None
    is_superseded: bool
    tool: str | None = None
    started: InstantText | None = None
    ended: InstantText | None = None
    duration_seconds: float | None = None
    tool_calls: int | None = None
    failures: int | None = None
    subagents: int | None = None
    todos: int | None = None
    todos_finished: int | None = None
    tokens: dict[str, int] | None = None
    actual_cost: float | None = None
    verdict: str | None = None
    verdict_source: str | None = None
    note: str | None = None
    unpriced: int | None = None


class Calibration(NamedTuple):
    """The calibration of plans against their outcomes.

    Attributes:
        plans: The number of plans that passed, without those that are superseded.
        judged: The number of those with a verdict, and a confidence from 0 to 1.
        bins: The reliability table over these.
        brier: Their Brier score; None where there are none.
        cost_by_complexity: Over the plans whose planned and actual costs are known.
        cost_by_pattern: The same, by workflow pattern.
    """

    plans: int
    judged: int
    bins: list[Bin]
    brier: Brier | None
    cost_by_complexity: list[CostError]
    cost_by_pattern: list[CostError]

    def as_document(self) -> dict[str, Any]:
        """Return the calibration as JSON has it."""
        return self._asdict() | {
            "bins": [interval._asdict() for interval in self.bins],
            "brier": None if self.brier is None else self.brier._asdict(),
            "cost_by_complexity": [group._asdict() for group in self.cost_by_complexity],
            "cost_by_pattern": [group._asdict() for group in self.cost_by_pattern],
        }


async def outcomes(
    *,
    dir: Path | str | None = None,
    session_id: str | None = None,
    tool: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    complexity: str | None = None,
    min_confidence: float | None = None,
    max_cost: float | None = None,
    limit: int | None = None,
) -> AsyncGenerator[PlanOutcome, None]:
    """Yield the plans that pass with what became of each, the latest first, in flat memory.

        async for one in outcomes(complexity="complex"): ...

    The plans are those of the moment at which it began; what became of them is read some plans at
    a time.

    Args:
        dir: The directory that holds `.khive`.
        session_id: The session, the plan's or the agent's, else those whose ids begin so.
        tool: Carried out by this AI tool.
        since: Planned then or later; a naive time is UTC.
        until: Planned before.
        complexity: The complexity.
        min_confidence: At least so sure.
        max_cost: The largest `planning_cost`, in USD.
        limit: At most so many.

    Raises:
        InvalidQueryError: A filter is wrong.
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    project = find_project(dir)
    filters: list[Filter] = []
    if session_id is not None:
        is_exact = await is_known(project, session_id)
        filters.append(facts.linked_to(session_id, is_exact=is_exact))
    filters += filters_of(
        since=since,
        until=until,
        complexity=complexity,
        min_confidence=min_confidence,
        max_cost=max_cost,
    )
    remaining = checked_count("limit", limit)
    async with aclosing(joined(project, filters, None if tool else remaining)) as plans:
        async for plan in plans:
            if remaining is not None and remaining <= 0:
                return
            if tool is None or plan.tool == tool:
                yield plan
                remaining = None if remaining is None else remaining - 1


async def joined(
    project: Project, filters: Sequence[Filter], limit: int | None = None
) -> AsyncGenerator[PlanOutcome, None]:
    """Yield the plans that pass these filters, each beside what became of it, the latest first.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    settings = configuration.load(project.config)
    prices, rule = PriceTable(settings.cost_prices), settings.verdict_rule
    build = facts.plans(filters, limit)
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(reading(project, *facts.PURPOSES))
        messages = await stack.enter_async_context(reading(project, CONVERSATIONS))
        pages = await stack.enter_async_context(aclosing(reader.pages(build, facts.Plan)))
        batch: list[facts.Plan] = []
        async for plans in pages:
            batch += [plan._replace(is_superseded=bool(plan.is_superseded)) for plan in plans]
            if len(batch) >= _PLANS_AT_ONCE:
                for plan in await _with_outcomes(batch, reader, messages, prices, rule):
                    yield plan
                batch = []
        for plan in await _with_outcomes(batch, reader, messages, prices, rule):
            yield plan


async def calibration(
    *, bins: int = DEFAULT_BINS, partial: float = 0.5, **filters: Any
) -> Calibration:
    """Compare the confidence and the cost of plans with their outcomes, in flat memory.

    A plan that is superseded counts nowhere: its session carried out a later one.

    Args:
        bins: The number of intervals of equal width of confidence, 1 to 1,000.
        partial: The value of a verdict of partial, where success is 1 and failure 0.
        filters: The filters of plans, as `outcomes` takes them.

    Raises:
        InvalidQueryError: `bins` or `partial` is out of range, or a filter is wrong.
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    if not 0 <= partial <= 1 or not 1 <= bins <= 1_000:
        raise InvalidQueryError("partial is from 0 to 1, and bins from 1 to 1,000")
    value = {"success": 1.0, "partial": partial, "failure": 0.0}
    table = Reliability(bins)
    by_complexity, by_pattern = CostErrors(), CostErrors()
    plans = 0
    async with aclosing(outcomes(**filters)) as plan_outcomes:
        async for plan in plan_outcomes:
            if plan.is_superseded:
                continue
            plans += 1
            confidence = plan.confidence
            if plan.verdict in value and confidence is not None and is_confidence(confidence):
                table.add(confidence, value[plan.verdict])
            planned = plan.planning_cost
            if planned is not None and is_countable(planned) and plan.actual_cost is not None:
                by_complexity.add(plan.complexity, planned, plan.actual_cost)
                by_pattern.add(plan.workflow_pattern, planned, plan.actual_cost)
    return Calibration(
        plans, table.count, table.bins(), table.brier(), by_complexity.groups(), by_pattern.groups()
    )


async def _with_outcomes(
    plans: list[facts.Plan],
    reader: Reader,
    messages: Reader,
    prices: PriceTable,
    rule: float | None,
) -> list[PlanOutcome]:
    sessions = {plan.agent_session_id for plan in plans if plan.agent_session_id is not None}
    if not sessions:
        return [PlanOutcome(**plan._asdict()) for plan in plans]
    # A verdict may be on the agent's session or on the plan's.
    judged = sessions | {plan.session_id for plan in plans if plan.session_id is not None}
    events = await facts.event_facts(reader, sessions)
    message_facts = await facts.message_facts(reader, sessions)
    todos = await facts.todo_facts(reader, sessions)
    verdicts = await facts.verdicts(reader, judged)
    of_sessions = field("session_id").in_(sessions)
    totals = await token_totals(messages, "session", prices, of_sessions)
    tokens = {total.group: total for total in totals}
    results = []
    for plan in plans:
        outcome, session = PlanOutcome(**plan._asdict()), plan.agent_session_id
        if session is None:
            results.append(outcome)
            continue
        of_messages = message_facts.get(session)
        of_events = facts.with_unreported(events.get(session), of_messages)
        outcome = _outcome(outcome, of_events, of_messages, todos.get(session), tokens.get(session))
        verdict = verdicts.get(session) or verdicts.get(plan.session_id or session)
        judged_by_rule = ruled(outcome.tool_calls or 0, outcome.failures or 0, rule)
        if verdict is None and judged_by_rule is not None:
            verdict = facts.SessionVerdict(judged_by_rule, "rule", None)
        if verdict is not None:
            outcome = outcome._replace(
                verdict=verdict.verdict, verdict_source=verdict.source, note=verdict.note
            )
        results.append(outcome)
    return results


def _outcome(
    plan: PlanOutcome,
    events: facts.EventFacts | None,
    messages: facts.MessageFacts | None,
    todos: facts.TodoFacts | None,
    total: TokenTotal | None,
) -> PlanOutcome:
    available = [part for part in (events, messages) if part is not None]
    # min() of text is that of time: each is spelled the same.
    started = min((part.started for part in available if part.started), default=None)
    end = max((part.last for part in available if part.last), default=None)
    first, last = clock.from_column(started), clock.from_column(end)
    return plan._replace(
        tool=next((part.tool for part in available if part.tool), None),
        started=started,
        ended=end,
        duration_seconds=(last - first).total_seconds() if first and last else None,
        tool_calls=events.tool_calls if events else None,
        failures=events.failures if events else None,
        # A session's subagents may show in its events or in its messages alone.
        subagents=max((part.subagents for part in available), default=None),
        todos=todos.todos if todos else None,
        todos_finished=todos.finished if todos else None,
        tokens={name: getattr(total, name) for name in _TOKENS} if total else None,
        actual_cost=total.whole_cost if total else None,
        unpriced=total.unpriced if total else None,
    )
