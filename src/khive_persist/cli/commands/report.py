"""`khive-persist report`."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from khive_persist import clock
from khive_persist.analytics.periodic_report.period import KINDS, Kind
from khive_persist.analytics.periodic_report.report import read_report, report_everywhere
from khive_persist.analytics.periodic_report.tables import tables
from khive_persist.analytics.periodic_report.text import text as report_text
from khive_persist.analytics.periodic_report.text import title
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    MOMENT,
    drained_project,
    from_everywhere,
    with_all_projects,
    with_project,
)
from khive_persist.cli.output import cell, print_json, print_table, warn, write_report
from khive_persist.errors import extra
from khive_persist.transfer.target import check_target


@click.command("report")
@click.option("--period", "kind", type=click.Choice(KINDS), default="week", show_default=True,
              help="A day, or a week from Monday on, in UTC.")  # fmt: skip
@click.option("--at", type=MOMENT,
              help="A time in it: 2026-11-20, or 3d for three days ago; else the last one that is"
              " over.")  # fmt: skip
@click.option("--html", metavar="FILE", help="Write a page with plots, which stands by itself.")
@click.option("--text", metavar="FILE", help="Write it as plain text.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with every figure.")
@with_all_projects
@with_project
def command(
    kind: Kind,
    at: datetime | None,
    html: str | None,
    text: str | None,
    force: bool,
    as_json: bool,
    all_projects: bool,
) -> int:
    """Report on a day or a week: cost, failures, slow tools, plans, beside the one before.

    A tool call counts once, by its end. Costs are those of the tools' transcripts, which sync
    reads. Sessions of this time are compared with those before as compare does it, where scipy is
    installed. With --all-projects there is one report a project, and no sum of them; one that
    cannot be read is named on stderr, and the exit code is 1. Where nothing at all was
    recorded, it is 1, too.

    \b
      khive-persist report
      khive-persist report --period day --at 1d
      khive-persist report --at 2026-11-16 --html week.html
      khive-persist report --json | jq -r '.sentences[]'

    By cron, each Monday afternoon, when the week is over in UTC wherever you are:

    \b
      0 15 * * 1  khive-persist --dir ~/src/project report --html ~/week.html --force
    """
    if all_projects:
        if html is not None or text is not None:
            raise click.UsageError("--html and --text write the report of one project")
        return _of_all(kind, at, as_json=as_json)
    project = drained_project()
    for target in (html, text):
        if target is not None:
            # Before the work, which takes a while.
            check_target(Path(target), force=force)
    current_time = clock.now()
    report = anyio.run(partial(read_report, project, kind, at, current_time))
    if html is not None:
        write_report(html, _page(report, current_time), force=force)
    if text is not None:
        write_report(text, report_text(report, current_time), force=force)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if not report["is_empty"]:
        return DONE
    warn(
        f"nothing was recorded from {report['since'][:10]} to"
        f" {report['until'][:10]}, the second day not included"
    )
    return FAILED


def _of_all(kind: Kind, at: datetime | None, *, as_json: bool) -> int:
    everywhere = from_everywhere(partial(report_everywhere, kind, at))
    reports = everywhere.results
    if as_json:
        print_json([{"project": str(root)} | report for root, report in reports.items()])
    else:
        for root, report in reports.items():
            click.echo(f"project {cell(str(root), limit=None)}")
            _print(report)
            click.echo()
    is_empty = all(report["is_empty"] for report in reports.values())
    return FAILED if everywhere.failed or is_empty else DONE


def _page(report: Mapping[str, Any], current_time: datetime) -> str:
    with extra("analysis", "the page"):
        from khive_persist.analytics.periodic_report.page import page
    return page(report, current_time)


def _print(report: Mapping[str, Any]) -> None:
    click.echo(title(report))
    click.echo()
    for sentence in report["sentences"]:
        click.echo(cell(sentence, limit=None))
    if report["is_empty"]:
        return
    for table in tables(report):
        click.echo(f"\n{table.title}")
        if table.rows:
            print_table(table.columns, table.rows, table.empty)
        else:
            click.echo(cell(table.empty))
