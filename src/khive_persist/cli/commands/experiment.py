"""`khive-persist experiment`."""

from typing import TYPE_CHECKING, Any

import anyio
import click

from khive_persist.analytics.experiments import assign as assigning
from khive_persist.analytics.experiments.counts import (
    ExperimentCount,
    VariantCount,
    count_experiments,
)
from khive_persist.analytics.experiments.create import WEIGHT, define, described
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import drained_project, with_limit, with_project
from khive_persist.cli.output import cell, print_json, print_table
from khive_persist.cli.saved import say_saved
from khive_persist.copies import second_copies
from khive_persist.errors import extra
from khive_persist.models.experiment import Experiment
from khive_persist.models.purpose import Purpose
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.store.immutable import InsertResult

if TYPE_CHECKING:
    from khive_persist.analytics.compare.statistics.ratio import RatioCheck

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group("experiment")
def command() -> None:
    """Divide sessions between variants, before their work begins.

    \b
      khive-persist experiment create prompt control=1 new_prompt=1
      variant=$(khive-persist experiment assign "$SESSION" prompt)
      khive-persist experiment show prompt
      khive-persist compare --by experiment:prompt

    A session is assigned once in an experiment, and no experiment or assignment changes: what came
    of a session cannot decide any more which variant it counts for.
    """


@command.command("create")
@click.argument("name")
@click.argument("variants", nargs=-1, required=True, metavar="VARIANT[=WEIGHT]...")
@click.option("--note", metavar="TEXT", help="What it is about.")
@_AS_JSON
@with_project
def create(name: str, variants: tuple[str, ...], note: str | None, as_json: bool) -> None:
    """Create an experiment, which never changes from then on.

    There are 2 to 100 variants, the one to compare the others with first; each has its share of the
    sessions by its weight, 1 where none is written. Names have letters, digits, `_`, `.` and `-`.
    The same again changes nothing; another one of this name is refused. Prints its name.
    """
    project = drained_project()
    result = anyio.run(_create, project, name, [*map(_variant, variants)], note)
    content: Any = result.record.content
    if as_json:
        print_json(content | {"is_new": result.created})
        return
    click.echo(result.record.id)
    was = "created" if result.created else "was there"
    click.echo(f"{result.record.id} {was}: {described(content)}", err=True)
    _say_saved(project, EXPERIMENTS, result)


@command.command("assign")
@click.argument("session")
@click.argument("name")
@click.argument("variant", required=False)
@_AS_JSON
@with_project
def assign(session: str, name: str, variant: str | None, as_json: bool) -> None:
    """Assign a variant of an experiment to a session. Prints the variant.

    SESSION is the whole id of a session, which need not have begun: the beginning of an id is taken
    for an id of its own. NAME is the experiment's. Without VARIANT it is drawn by a hash of both,
    so that nobody chooses and anybody can draw it again; with one, it is recorded as named.

    Assign it before the session's work begins. Later it is marked as late, and `compare` leaves out
    what was named late. Assigned again, a session keeps what it has.
    """
    project = drained_project()
    result = anyio.run(assigning.assign_in_project, project, session, name, variant)
    document = assigning.as_document(result.record)
    if as_json:
        print_json(document._asdict() | {"is_new": result.created})
        return
    click.echo(document.variant)
    was = (
        "" if result.created else f" on {result.record.created_at:%Y-%m-%d %H:%M:%S} UTC, and kept"
    )
    click.echo(f"{name}: {assigning.described(document)}{was}", err=True)
    _say_saved(project, ASSIGNMENTS, result)


@command.command("list")
@_AS_JSON
@with_limit()
@with_project
def list_(as_json: bool, limit: int | None) -> None:
    """List experiments, the oldest first: variants, weights, and how many sessions have them."""
    project = drained_project()
    counts = anyio.run(_count, project, None)[:limit]
    if as_json:
        print_json(counts)
        return
    rows = [(experiment.name, *variant) for experiment in counts for variant in experiment.variants]
    print_table(
        ("experiment", "variant", *VariantCount._fields[1:]), rows, none_of("experiments", project)
    )


@command.command("show")
@click.argument("name")
@_AS_JSON
@with_project
def show(name: str, as_json: bool) -> None:
    """Show an experiment: the sessions of each variant, and whether they fit the weights.

    Of sessions that were drawn, Pearson's chi-square test says whether each variant has as many as
    its weight expects. Where p is less than 0.001 something loses sessions, or assigns them by
    itself: what such an experiment shows is not to be believed before that is found.
    """
    with extra("analysis", "the check of the ratio"):
        from khive_persist.analytics.compare.statistics.ratio import check_ratio
    (experiment,) = anyio.run(_count, drained_project(), name)
    weighted = [
        (variant.random, variant.weight)
        for variant in experiment.variants
        if variant.weight is not None
    ]
    check = (
        check_ratio([n for n, _ in weighted], [weight for _, weight in weighted])
        if weighted
        else None
    )
    if as_json:
        ratio = None if check is None else check._asdict() | {"is_mismatch": check.is_mismatch}
        print_json(experiment._asdict() | {"ratio": ratio})
        return
    click.echo(f"{experiment.name}, of {experiment.created_at} UTC{_note(experiment)}")
    expected = iter(check.expected if check is not None else ())
    rows = [
        (*variant, None if variant.weight is None else round(next(expected), 1))
        for variant in experiment.variants
    ]
    print_table(("variant", *VariantCount._fields[1:], "expected"), rows, "no variants")
    if check is not None:
        click.echo(_ratio_line(check))


def _say_saved(project: Project, purpose: Purpose, result: InsertResult[Any]) -> None:
    if result.created:
        copies = second_copies(project, purpose, [result.record.id])
        say_saved(1, project.database(purpose.file), copies)


def _variant(text: str) -> dict[str, Any]:
    name, equals, weight = text.partition("=")
    if not equals:
        return {"name": name, "weight": WEIGHT}
    try:
        number = float(weight)
    except ValueError as error:
        raise click.UsageError(f"the weight of {name} is no number: {weight}") from error
    return {"name": name, "weight": int(weight) if weight.isdecimal() else number}


async def _create(
    project: Project, name: str, variants: list[dict[str, Any]], note: str | None
) -> InsertResult[Experiment]:
    async with open_store(Experiment, dir=project.root) as experiments:
        return await define(experiments, name, variants, note)


async def _count(project: Project, name: str | None) -> list[ExperimentCount]:
    async with reading(project, EXPERIMENTS, ASSIGNMENTS) as reader:
        return await count_experiments(reader, name)


def _note(experiment: ExperimentCount) -> str:
    return "" if experiment.note is None else f": {cell(experiment.note)}"


def _ratio_line(check: "RatioCheck") -> str:
    from khive_persist.analytics.compare.statistics.p_values import p_text

    if check.p is None:
        return "Too few sessions were drawn to check whether they fit the weights."
    figures = f"chi-square {check.chi_square:.4g}, {p_text(check.p)}"
    if check.is_mismatch:
        return (
            f"The sessions drawn do not fit the weights ({figures}): something loses sessions, or"
            " assigns them by itself."
        )
    return f"The sessions drawn fit the weights ({figures})."
