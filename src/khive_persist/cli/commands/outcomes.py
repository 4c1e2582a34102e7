"""`khive-persist outcomes`."""

from contextlib import aclosing
from typing import Any

import anyio
import click

from khive_persist.analytics.calibration import DEFAULT_BINS, Bin, CostError
from khive_persist.analytics.outcomes import Calibration, PlanOutcome, calibration, outcomes
from khive_persist.cli.columns import Column
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import (
    drained_project,
    short_ids_on_screen,
    with_filters,
    with_output,
    with_project,
)
from khive_persist.cli.output import (
    Documents,
    print_documents,
    print_fields,
    print_json,
    print_table,
)
from khive_persist.project import Project

TABLE_LIMIT = 50
COLUMNS = (
    "session",
    "task",
    "complexity",
    Column("sure", kind="number", priority=2),
    Column("agents", kind="number", priority=4),
    Column("cost", kind="number"),
    Column("actual", kind="number"),
    Column("minutes", kind="number", priority=3),
    Column("calls", kind="number", priority=3),
    Column("failed", kind="number", priority=1),
    Column("todos", kind="number", priority=4),
    "verdict",
)
UNJUDGED = (
    "no plan has both a confidence and a verdict: say how its session ended with"
    " khive-persist outcome set SESSION success"
)
DIAGRAM_CHARACTERS = 41


@click.command("outcomes")
@click.option("--calibration", "is_calibration", is_flag=True,
              help="Instead: what confidence and cost are worth.")  # fmt: skip
@click.option("--bins", type=click.IntRange(1, 1_000), default=DEFAULT_BINS, show_default=True,
              help="Of the calibration: into how many intervals confidence is parted.")  # fmt: skip
@click.option("--partial", type=click.FloatRange(0, 1), default=0.5, show_default=True,
              help="Of the calibration: what partial counts; success is 1.")  # fmt: skip
@with_project
@with_filters(
    "session", "tool", "since", "until", "complexity", "min_confidence", "max_cost", "limit"
)
@with_output
def command(
    is_calibration: bool,
    bins: int,
    partial: float,
    form: str,
    limit: int | None,
    **filter_options: Any,
) -> None:
    """Set plans beside what became of them, the latest first.

    A plan belongs to the agent's session that its agent_session_id names, else to that of its own
    session_id. agents is those planned / the subagents that were started; cost is the plan's
    planning_cost, actual what the session's messages cost, in US dollars; minutes are from the
    first to the last event or message; todos is those finished / all. A - is not known; so is
    actual where a model has no price. A session in brackets carried out a later plan than this.

    \b
      khive-persist outcomes --complexity complex --since 30d
      khive-persist outcome set 3aeaa724 success
      khive-persist outcomes --calibration
      khive-persist outcomes --calibration --json | jq .brier.score

    --calibration: of all plans that were sure to 80%, did 80% succeed? In the diagram, which goes
    from 0 to 1, | is the mean confidence of an interval, o what came of it, [ ] its 95% interval
    (Wilson's), X where | and o meet. The Brier score is the mean of (confidence - outcome) squared:
    0 is best, and always saying 0.5 gives 0.25. It is reliability - resolution + uncertainty +
    within variance - within covariance: how far | is from o; how far the intervals' o differ; how
    much outcomes vary at all; and two terms for confidence that differs within an interval.

    --since and --until are of the planning. A table shows the latest 50 unless --limit says
    otherwise; JSON, and the calibration, is of all that match. A rule in config.toml can give
    verdicts where nobody has: see [outcomes] there.
    """
    project = drained_project()
    empty = none_of("plans", project)
    filter_options |= {"dir": project.root, "limit": limit}
    if is_calibration:
        _print_calibration(anyio.run(_calibration, bins, partial, filter_options), form, empty)
    else:
        anyio.run(_list, project, filter_options, form, empty)


def row(plan: PlanOutcome) -> tuple[Any, ...]:
    """Return a plan and its outcome as a row of the table."""
    session = plan.agent_session_id or "-"
    minutes = None if plan.duration_seconds is None else f"{plan.duration_seconds / 60:.1f}"
    return (
        f"({session})" if plan.is_superseded else session,
        plan.task_description,
        plan.complexity,
        plan.confidence,
        _pair(plan.agent_count, plan.subagents),
        plan.planning_cost,
        None if plan.actual_cost is None else f"{plan.actual_cost:.4f}",
        minutes,
        plan.tool_calls,
        plan.failures,
        _pair(plan.todos_finished, plan.todos),
        plan.verdict if plan.verdict_source != "rule" else f"{plan.verdict} (rule)",
    )


def diagram(interval: Bin) -> str:
    """Draw a bin as a line of the reliability diagram, from 0 at its left to 1 at its right."""
    if interval.confidence is None or interval.success is None:
        return ""
    cells = [" "] * DIAGRAM_CHARACTERS
    low, high = _at(interval.success_low or 0.0), _at(interval.success_high or 0.0)
    cells[low : high + 1] = "-" * (high + 1 - low)
    cells[low], cells[high] = "[", "]"
    confidence_at, success_at = _at(float(interval.confidence)), _at(float(interval.success))
    cells[confidence_at] = "|"
    cells[success_at] = "X" if success_at == confidence_at else "o"
    return "".join(cells).rstrip()


def _at(value: float) -> int:
    return round(value * (DIAGRAM_CHARACTERS - 1))


def _pair(planned: float | None, actual: float | None) -> str | None:
    if planned is None and actual is None:
        return None
    return "/".join("-" if value is None else f"{value:g}" for value in (planned, actual))


async def _calibration(bins: int, partial: float, filter_options: dict[str, Any]) -> Calibration:
    return await calibration(bins=bins, partial=partial, **filter_options)


async def _list(project: Project, filter_options: dict[str, Any], form: str, empty: str) -> None:
    if form == "table" and filter_options["limit"] is None:
        filter_options["limit"] = TABLE_LIMIT
    async with aclosing(outcomes(**filter_options)) as plans:
        if form == "table":
            results = [plan async for plan in plans]
            ids = [plan.agent_session_id for plan in results]
            short = await short_ids_on_screen(project, ids)
            print_table(COLUMNS, map(row, results), empty, short_ids=short)
            return
        output = Documents(form)
        async for plan in plans:
            output.write(plan._asdict())
        output.end()


def _print_calibration(result: Calibration, form: str, empty: str) -> None:
    if form == "jsonl":
        print_documents(form, [result])
        return
    if form == "json":
        print_json(result)
        return
    if not result.plans:
        click.echo(empty, err=True)
        return
    print_fields({"plans": result.plans, "judged": result.judged})
    click.echo()
    if result.brier is None:
        click.echo(UNJUDGED, err=True)
    else:
        print_fields({name: _short(value) for name, value in result.brier._asdict().items()})
        click.echo()
        axis = "0" + "1".rjust(DIAGRAM_CHARACTERS - 1)
        rows = [
            (f"{interval.low:.3g}-{interval.high:.3g}", interval.plans, _short(interval.confidence),
             _short(interval.success), diagram(interval))
            for interval in result.bins if interval.plans
        ]  # fmt: skip
        print_table(("confidence", "plans", "mean", "success", axis), rows, empty)
        click.echo()
    for name, errors in (
        ("complexity", result.cost_by_complexity),
        ("workflow_pattern", result.cost_by_pattern),
    ):
        columns = (name, "plans", "cost", "actual", "error", "absolute", "ratio")
        rows_of_costs = [_costs(error) for error in errors]
        print_table(columns, rows_of_costs, f"no plan of any {name} has both costs")


def _costs(error: CostError) -> tuple[Any, ...]:
    return (error.group, error.plans, *map(_short, error[2:]))


def _short(value: Any) -> str | None:
    # Rounding leaves a minus before what is nothing.
    return None if value is None else f"{round(float(value), 4) + 0.0:.4f}"
