"""`khive-persist plans`."""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, NamedTuple

import anyio
import click

from khive_persist.analytics.outcomes import PlanOutcome, joined
from khive_persist.cli import completions
from khive_persist.cli.columns import Column
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import (
    drained_project,
    short_ids_on_screen,
    with_filters,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import (
    Documents,
    cell,
    print_documents,
    print_fields,
    print_json,
    print_table,
)
from khive_persist.cli.screen import is_screen
from khive_persist.errors import NotFoundError
from khive_persist.models.as_document import document
from khive_persist.models.criteria import filters_of
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import Field, Filter, column, field
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.sessions.event_facts import linked_to
from khive_persist.sessions.plan_detail import PlanDetail, find_plan, plan_detail
from khive_persist.sessions.read import is_known
from khive_persist.sessions.short_ids import short_plan_ids
from khive_persist.store.codec import dump_lossy
from khive_persist.store.planner_sessions import PlannerSessionStore

TABLE_LIMIT: Final = 50
_TASK: Final = "task_description"
# The id names the plan to `plans show`, also by its beginning.
_COLUMNS: Final = {
    column.name: column
    for column in (
        Column("id", kind="id", priority=0),
        Column(_TASK, label="task", kind="prose", minimum=20, priority=0),
        Column("session_id", label="session", kind="id", priority=1),
        Column("workflow_pattern", label="pattern", priority=5),
        Column("phases", priority=4),
    )
}
COLUMNS: Final = (
    "id", "created_at", _TASK, "complexity", "confidence", "agent_count",
    "planning_cost", "workflow_pattern", "phases", "session_id",
)  # fmt: skip
PHASES: Final = ("phase", "name", "agents", "after", "description")
EVALUATIONS: Final = ("planner", "complexity", "agents", "confidence", "ms", "cost", "evaluation")
_TIME: Final = "time"
_ORDERS: Final[Mapping[str, Field]] = {
    "cost": field("planning_cost"),
    "confidence": field("confidence"),
    "agents": field("agent_count"),
}
_PLANNED: Final = (
    "plan_id", "session_id", "agent_session_id", "planned_at", "task_description", "complexity",
    "workflow_pattern", "confidence", "agent_count", "planning_cost",
)  # fmt: skip
_OUTCOME: Final = (
    "verdict", "verdict_source", "note", "tool", "started", "duration_seconds", "tool_calls",
    "failures", "subagents", "todos", "todos_finished", "actual_cost",
)  # fmt: skip


class PlanAndOutcome(NamedTuple):
    """A plan, and what became of it."""

    plan: PlanDetail
    outcome: PlanOutcome


@click.group("plans", invoke_without_command=True)
@click.option("--sort", type=click.Choice([_TIME, *_ORDERS]), default=_TIME, show_default=True,
              help="What comes first: the latest, the most expensive, …")  # fmt: skip
@click.option("--reverse", is_flag=True, help="The earliest, cheapest, … first.")
@with_project
@with_filters(
    "session", "since", "until", "complexity", "min_confidence", "min_cost", "max_cost", "limit"
)
@with_output
@with_times
@click.pass_context
def command(
    context: click.Context,
    sort: str,
    reverse: bool,
    session_id: str | None,
    since: datetime | None,
    until: datetime | None,
    complexity: str | None,
    min_confidence: float | None,
    min_cost: float | None,
    max_cost: float | None,
    limit: int | None,
    form: str,
) -> None:
    """List plans, the latest first; show one with its phases and evaluations.

    \b
      khive-persist plans --sort cost --limit 10
      khive-persist plans --complexity complex --min-cost 0.50 --since 30d
      khive-persist plans --jsonl | jq .content.phases
      khive-persist plans show 3aeaa724

    --session is the plan's session, or that of the agent that carries it out. Sorted by a number,
    plans that have none there come last. `outcomes` lists plans with what became of them.

    A table shows 50 unless --limit says otherwise; JSON is all that match, the whole of each.
    """
    if context.invoked_subcommand is not None:
        return
    project = drained_project()
    filters = filters_of(
        since=since,
        until=until,
        complexity=complexity,
        min_confidence=min_confidence,
        min_cost=min_cost,
        max_cost=max_cost,
    )
    if session_id is not None:
        is_exact = anyio.run(is_known, project, session_id)
        filters.append(linked_to(session_id, is_exact=is_exact))
    anyio.run(_list, project, filters, sort, reverse, form, limit)


@command.command("show")
@click.argument("id", shell_complete=completions.sessions)
@with_project
@with_output
@with_times
def show(id: str, form: str) -> None:
    """Show a plan: its phases, its planners' evaluations, their consensus, and what became of it.

    ID is the plan's, or that of its session, whose latest plan is shown, or the beginning of one.
    JSON has each phase and evaluation also as it was saved.

    \b
      khive-persist plans show 3aeaa724
      khive-persist plans show 3aeaa724 --json | jq .plan.consensus
    """
    project = drained_project()
    shown = anyio.run(_find, project, id)
    if form == "json":
        print_json(shown)
    elif form == "jsonl":
        print_documents(form, [shown])
    else:
        _print_plan(shown.plan, shown.outcome)
        _print_outcome(shown.outcome)


async def _list(
    project: Project, filters: list[Filter], sort: str, reverse: bool, form: str, limit: int | None
) -> None:
    if form == "table" and limit is None:
        limit = TABLE_LIMIT
    async with (
        open_store(PlannerSession, dir=project.root, read_only=True) as store,
        aclosing(_sorted(store, filters, sort, reverse, limit)) as plans,
    ):
        if form == "table":
            columns = [_COLUMNS.get(name, name) for name in COLUMNS]
            rows = [_row(plan) async for plan in plans]
            short = await _short_ids(project, rows)
            print_table(columns, rows, none_of("plans", project), short_ids=short)
            return
        output = Documents(form)
        async for plan in plans:
            output.write(document(plan))
        output.end()


async def _short_ids(project: Project, rows: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    """Return short forms of the ids of plans and of their sessions where a person looks."""
    if not is_screen():
        return {}
    plan_ids = await short_plan_ids(project, [row[0] for row in rows])
    short = await short_ids_on_screen(project, [row[-1] for row in rows])
    # What is the id of both has a form that names either.
    return short | {id: max(text, short.get(id, ""), key=len) for id, text in plan_ids.items()}


async def _sorted(
    store: PlannerSessionStore, filters: list[Filter], sort: str, reverse: bool, limit: int | None
) -> AsyncGenerator[PlannerSession, None]:
    """Yield plans in an order; those without the number that they are sorted by come last."""
    time, id = column("created_at"), column("id")
    newest = (-time, -id)
    if sort == _TIME:
        parts: list[tuple[list[Filter], Sequence[Any]]] = [([], (time, id) if reverse else newest)]
    else:
        number = _ORDERS[sort]
        # Any number is below any text.
        is_number = number <= sys.float_info.max
        order = number if reverse else -number
        parts = [([is_number], (order, *newest)), ([~is_number], newest)]
    count = 0
    for conditions, order_by in parts:
        remaining = None if limit is None else limit - count
        selected = store.stream(*filters, *conditions, order_by=order_by, limit=remaining)
        async with aclosing(selected) as plans:
            async for plan in plans:
                count += 1
                yield plan


def _row(plan: PlannerSession) -> tuple[Any, ...]:
    content: Any = plan.content if isinstance(plan.content, dict) else {}
    phases = content.get("phases")
    values = {name: content.get(name) for name in COLUMNS} | {
        "id": plan.id,
        "created_at": plan.created_at,
        "phases": len(phases) if isinstance(phases, list) else None,
        "session_id": content.get("agent_session_id") or content.get("session_id"),
    }
    return tuple(values[name] for name in COLUMNS)


async def _find(project: Project, id: str) -> PlanAndOutcome:
    async with reading(project, PLANNER_SESSIONS) as reader:
        plan_id = await find_plan(reader, id)
        detail = await plan_detail(reader, plan_id)
    async with aclosing(joined(project, [column("id") == plan_id], 1)) as outcomes:
        outcome = await anext(outcomes, None)
    if detail is None or outcome is None:
        raise NotFoundError(f"the plan {plan_id} was removed just now")
    return PlanAndOutcome(detail, outcome)


def _print_plan(plan: PlanDetail, outcome: PlanOutcome) -> None:
    fields = {name: getattr(outcome, name) for name in _PLANNED}
    fields |= {"superseded_by": plan.superseded_by, **plan.other}
    print_fields({name: value for name, value in fields.items() if value is not None})
    for name, reason in plan.odd_numbers.items():
        click.echo(f"{cell(name)} does not count: it {cell(reason)}")
    _head("phases", len(plan.phases))
    phases = [
        (phase.number, phase.name if phase.name is not None else cell(phase.saved),
         ", ".join(phase.agents) or None, ", ".join(phase.depends_on) or None, phase.description)
        for phase in plan.phases
    ]  # fmt: skip
    print_table(PHASES, phases, "no phases were saved with this plan")
    _head("evaluations", len(plan.evaluations))
    evaluations = [
        (evaluation.planner, evaluation.complexity, evaluation.agent_count, evaluation.confidence,
         evaluation.response_time_ms, evaluation.cost, _answer(evaluation.saved))
        for evaluation in plan.evaluations
    ]  # fmt: skip
    print_table(EVALUATIONS, evaluations, "no evaluations were saved with this plan")
    for name in ("consensus", "execution_plan", "metadata"):
        _print_value(name, getattr(plan, name))


def _answer(saved: Any) -> Any:
    """Return the words of an evaluation: its summary, else its answer as it was saved."""
    answer = saved.get("evaluation") if isinstance(saved, Mapping) else saved
    if isinstance(answer, Mapping):
        return answer.get("summary") or answer.get("reasoning") or answer
    return answer


def _print_value(name: str, value: Any) -> None:
    if value in (None, {}, []):
        return
    _head(name)
    if isinstance(value, Mapping):
        print_fields({str(key): item for key, item in value.items()})
    else:
        click.echo(cell(value, None) if isinstance(value, str) else dump_lossy(value, indent=True))


def _print_outcome(outcome: PlanOutcome) -> None:
    fields = {name: getattr(outcome, name) for name in _OUTCOME}
    values = {name: value for name, value in fields.items() if value is not None}
    _head("outcome")
    if values:
        print_fields(values)
    else:
        click.echo(
            "nothing is recorded of the session that carries it out: khive-persist outcome set"
            " says how it ended",
            err=True,
        )


def _head(name: str, count: int | None = None) -> None:
    click.echo()
    click.secho(name if count is None else f"{name} ({count})", bold=True)
