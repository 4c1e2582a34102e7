"""`khive-persist compare`."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from khive_persist import clock
from khive_persist.cli.columns import Column
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, with_filters, with_project
from khive_persist.cli.output import print_json, print_table, write_report
from khive_persist.errors import extra
from khive_persist.transfer.target import replacing

if TYPE_CHECKING:
    from khive_persist.analytics.compare.collect import CollectedSamples
    from khive_persist.analytics.compare.comparison import MetricComparison
    from khive_persist.analytics.compare.report.tables import Table


@click.command("compare")
@click.argument("groups", nargs=-1)
@click.option("--by", default="model", show_default=True,
              help="What parts sessions into groups: tool, model, project, complexity,"
              " workflow_pattern, group, scenario, plan:PATH, experiment:NAME, …")  # fmt: skip
@click.option("--metric", "names", multiple=True, metavar="NAME",
              help="Only this; again for more. Also score:NAME, measurement:NAME, plan:PATH,"
              " application:PATH, and plan:PATH=VALUE for the share that has it.")  # fmt: skip
@click.option("--paired-by", metavar="FIELD",
              help="What belongs together, as task_description: pairs of means are"
              " compared.")  # fmt: skip
@click.option("--include-late", is_flag=True,
              help="Also sessions whose variant somebody named after their work had"
              " begun.")  # fmt: skip
@click.option("--min-n", type=click.IntRange(2), default=5, show_default=True,
              help="A group with fewer sessions is left out of the tests.")  # fmt: skip
@click.option("--effect", type=click.FloatRange(0, min_open=True), metavar="D",
              help="Also how many sessions each of two groups needs to find an effect of D standard"
              " deviations 4 times in 5.")  # fmt: skip
@click.option("--definitions", is_flag=True, help="Also what each metric counts.")
@click.option("--html", metavar="FILE", help="Write a page with plots, which stands by itself.")
@click.option("--text", metavar="FILE", help="Write it as plain text, for an appendix.")
@click.option("--csv", "folder", metavar="FOLDER",
              help="Write all tables as CSV, with a codebook and scripts for R and"
              " SPSS.")  # fmt: skip
@click.option("--excel", metavar="FILE", help="Write all tables as one workbook.")
@click.option("--pseudonyms", "key_file", metavar="KEYFILE",
              help="In tables, replace the names of sessions and participants by a hash under this"
              " key, which is made where it is missing; leave out what was said.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with every figure.")
@with_project
@with_filters("since", "until")
def command(
    groups: tuple[str, ...],
    by: str,
    names: tuple[str, ...],
    paired_by: str | None,
    include_late: bool,
    min_n: int,
    effect: float | None,
    definitions: bool,
    html: str | None,
    text: str | None,
    folder: str | None,
    excel: str | None,
    key_file: str | None,
    force: bool,
    as_json: bool,
    since: datetime | None,
    until: datetime | None,
) -> int:
    """Compare groups of sessions, with honest statistics.

    GROUPS are the values of --by that are meant, the one to compare with first; else all of them.
    The test of each metric is chosen before a value is seen: Welch's t of two groups, Fisher's
    exact test of shares, Welch's analysis of variance of more groups, the paired t of pairs. p is
    adjusted for the number of metrics, by Holm. --json has all other tests, intervals, effect
    sizes, assumptions and power.

    \b
      khive-persist compare --by model --since 30d
      khive-persist compare claude-opus-4-5 gpt-5.2 --metric cost --metric success
      khive-persist compare A B --by application:group --metric score:triage
      khive-persist compare plan act --by workflow_pattern --paired-by task_description
      khive-persist compare --by experiment:prompt --metric success --metric cost
      khive-persist compare A B --by group --html report.html --text appendix.txt
      khive-persist compare A B --by group --csv tables --pseudonyms study.key
    """
    project = drained_project()
    with extra("analysis", "comparing"):
        from khive_persist.analytics.compare import collect, compare, grouping, metrics
        from khive_persist.analytics.compare.statistics import power
    if include_late and grouping.experiment_of(by) is None:
        raise click.UsageError("--include-late goes with --by experiment:NAME")
    collected = anyio.run(
        partial(collect.collect, project, by, names or metrics.NAMES, groups=groups,
                paired_by=paired_by, since=since, until=until, with_late=include_late)
    )  # fmt: skip
    compared = compare.compare(collected.samples, paired=paired_by is not None, min_n=min_n)
    if html is not None:
        from khive_persist.analytics.compare.report.page import page

        write_report(html, page(collected, compared, clock.now()), force=force)
    if text is not None:
        from khive_persist.analytics.compare.report.text import text as report_text

        write_report(text, report_text(collected, compared, clock.now()), force=force)
    if folder is not None or excel is not None:
        from khive_persist.analytics.compare.pseudonyms import read_key
        from khive_persist.analytics.compare.report.csv_files import write_csv
        from khive_persist.analytics.compare.report.tables import tables

        key = None if key_file is None else read_key(Path(key_file))
        all_tables = tables(project, collected, compared, key)
        if folder is not None:
            Path(folder).mkdir(mode=0o700, exist_ok=True)
            files = anyio.run(partial(write_csv, Path(folder), all_tables, force=force))
            click.echo(f"{len(files)} files written to {folder}", err=True)
        if excel is not None:
            anyio.run(_write_excel, excel, all_tables, force)
    elif key_file is not None:
        raise click.UsageError("--pseudonyms goes with --csv or --excel")
    planned = {} if effect is None else {"effect": effect, "needed": power.needed(effect)}
    if as_json:
        from khive_persist.analytics.compare.document import comparison_of

        document = comparison_of(collected, compared)._asdict()
        print_json(document | ({"planned": planned} if planned else {}))
    else:
        _print(collected, compared, definitions=definitions)
        if planned:
            needed = planned["needed"]
            size = f"{needed:,}" if needed else f"more than {power.MOST:,}"
            click.echo(
                f"To find an effect of {effect:g} standard deviations 4 times in 5, each of two"
                f" groups needs {size} sessions."
            )
    # Empty is not the same as equal.
    return DONE if any(comparison.p is not None for comparison in compared) else FAILED


def _print(
    collected: "CollectedSamples", compared: "list[MetricComparison]", *, definitions: bool
) -> None:
    from khive_persist.analytics.compare.metric import ABSENT
    from khive_persist.analytics.compare.statistics.p_values import p_cell

    sizes = ", ".join(f"{name} {size}" for name, size in collected.groups.items())
    click.echo(
        f"{sum(collected.groups.values())} sessions by {collected.by}: {sizes or 'no group'}"
    )
    if collected.pairs is not None:
        click.echo(f"{collected.pairs} pairs")
    if collected.ungrouped:
        click.echo(f"{collected.ungrouped} sessions have no {collected.by}, and are left out")
    if collected.experiment is not None:
        for remark in collected.experiment.remarks:
            click.echo(remark)
    click.echo()
    rows = [
        (
            comparison.metric.name, group.name, group.description.n, group.description.mean,
            group.description.sd, group.description.median, sum(group.left_out.values()),
            p_cell(comparison.p) if number == 0 else None,
            p_cell(comparison.p_holm) if number == 0 else None,
        )
        for comparison in compared
        for number, group in enumerate(comparison.groups)
    ]  # fmt: skip
    columns = (
        "metric", "group", Column("n", priority=1), Column("mean", priority=1), "sd", "median",
        Column("left_out", priority=3), Column("p", kind="number", priority=2),
        Column("p_holm", kind="number", priority=1),
    )  # fmt: skip
    print_table(columns, [tuple(map(_rounded, row)) for row in rows], "nothing to compare")
    click.echo()
    for comparison in compared:
        if definitions:
            click.echo(f"{comparison.metric.name}: {comparison.metric.definition}.")
        click.echo(comparison.sentence)
        for group in comparison.groups:
            for reason, count in group.left_out.items():
                # How many have nothing recorded stands in the table.
                if reason != ABSENT:
                    click.echo(f"Of {group.name}, {count} left out: {reason}.")


async def _write_excel(target: str, tables: "list[Table]", force: bool) -> None:
    from khive_persist.analytics.compare.report.excel import write_excel

    with replacing(Path(target), force=force) as file:
        await write_excel(file, tables)
    click.echo(f"written to {target}", err=True)


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
