"""`khive-persist similar`."""

from functools import partial
from typing import Any

import anyio
import click

from khive_persist.analytics.similar import DEFAULT_LIMIT, MAX_LIMIT, SimilarPlan, similar_plans
from khive_persist.cli.columns import Column
from khive_persist.cli.commands import outcomes as outcomes_command
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import (
    drained_project,
    short_ids_on_screen,
    with_limit,
    with_output,
    with_project,
)
from khive_persist.cli.output import print_documents, print_table

SCORE = Column("score", kind="number", priority=0)


@click.command("similar")
@click.argument("words", nargs=-1)
@click.option("--complexity", metavar="WORD", help="As in simple or complex.")
@click.option("--pattern", metavar="WORD", help="The workflow pattern, as in parallel.")
@with_limit(default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
@with_project
@with_output
def command(
    words: tuple[str, ...], complexity: str | None, pattern: str | None, limit: int, form: str
) -> None:
    """Show plans like yours, and how they ended.

    \b
      khive-persist similar "move the importer to streams" --complexity complex
      khive-persist similar --pattern parallel --limit 20 --json

    The score goes to 1. Words count for three parts: how many of yours are in the plan's task
    description, rare ones more; complexity and pattern for one part each, where you name them. A
    plan without any of your words is left out. Words are told apart as they are written: import is
    not importer.
    """
    project = drained_project()
    plans = anyio.run(
        partial(similar_plans, " ".join(words), complexity=complexity, pattern=pattern,
                limit=limit, dir=project.root)
    )  # fmt: skip
    if form == "table":
        columns = (SCORE, *outcomes_command.COLUMNS)
        ids = [similar.plan.agent_session_id for similar in plans]
        short = anyio.run(short_ids_on_screen, project, ids)
        print_table(columns, map(_row, plans), none_of("similar plans", project), short_ids=short)
    else:
        print_documents(form, [plan.as_document() for plan in plans])


def _row(similar: SimilarPlan) -> tuple[Any, ...]:
    return (f"{similar.score:.2f}", *outcomes_command.row(similar.plan))
