"""`khive-persist tail`."""

from contextlib import aclosing
from typing import Any, Final

import anyio
import anyio.to_thread
import click

from khive_persist.capture.drain import drain
from khive_persist.cli.commands.events import COLUMNS, FILTERS, filters, row
from khive_persist.cli.empty import none_of
from khive_persist.cli.options import (
    drained_project,
    with_filters,
    with_limit,
    with_project,
    with_times,
)
from khive_persist.cli.table import Table
from khive_persist.models.as_document import document
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import Filter, column
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.store.codec import dump_lossy

_DRAIN_SECONDS: Final = 0.1


@click.command("tail")
@with_limit("--lines", default=10)
@click.option("-f", "--follow/--no-follow", default=True, show_default=True,
              help="Go on with new events as they arrive, until Ctrl-C.")  # fmt: skip
@with_project
@with_filters(*FILTERS)
@with_times
@click.option("--jsonl", is_flag=True, help="One JSON document a line, for a program.")
def command(
    limit: int,
    follow: bool,
    jsonl: bool,
    **filter_options: Any,
) -> None:
    """Show the latest events, and follow new ones.

    \b
      khive-persist tail --type pre_command
      khive-persist tail -n 100 --no-follow
      khive-persist tail -f -n 0 --failed
    """
    project = drained_project()
    event_filters = filters(project, **filter_options)
    anyio.run(_tail, project, event_filters, limit, follow, jsonl)


async def _tail(
    project: Project, event_filters: list[Filter], limit: int, follow: bool, jsonl: bool
) -> None:
    newest = -column("created_at")
    async with (
        open_store(HookEvent, dir=project.root, read_only=True) as events,
        aclosing(await events.follow(*event_filters)) as new,
    ):
        latest = await events.find(*event_filters, order_by=newest, limit=limit)
        table = Table(COLUMNS, [row(event) for event in reversed(latest)], is_open=True)
        lines = (dump_lossy(document(event)) for event in reversed(latest))
        for line in lines if jsonl else table.lines():
            click.echo(line)
        if not latest and limit and not jsonl:
            line = none_of("events", project)
            click.echo(f"{line}; waiting for the first" if follow else line, err=True)
        if follow:
            shown_ids = {event.id for event in latest}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_draining, project)
                async for event in new:
                    if event.id not in shown_ids:
                        click.echo(dump_lossy(document(event)) if jsonl else table.line(row(event)))


async def keep_draining(project: Project) -> None:
    """Bring in what no drainer does, as where none could be started."""
    while True:
        await anyio.to_thread.run_sync(drain, project)
        await anyio.sleep(_DRAIN_SECONDS)
