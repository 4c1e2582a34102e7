"""`khive-persist push`."""

from functools import partial

import anyio
import click

from khive_persist.cli.options import drained_project, with_limit, with_project
from khive_persist.cli.output import print_json, warn
from khive_persist.cli.progress import progress
from khive_persist.team.push import Pushed, push, rehearse
from khive_persist.team.team_record import TeamRecord


@click.command("push")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@click.option("--all", "is_all", is_flag=True,
              help="Look at all records again, and send what the team has not.")  # fmt: skip
@with_limit()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document of what left.")
@with_project
def command(dry_run: bool, is_all: bool, limit: int | None, as_json: bool) -> None:
    """Send what is new to your team, in the form that [team] of your settings lets leave.

    \b
      khive-persist push --dry-run | less
      khive-persist push
      khive-persist push --limit 1000

    --dry-run prints the very bytes that would be sent now, a record a line: who, machine, project,
    kind, session, id, version, form, time and content. The next push sends these, until something
    else is recorded. `team status` says what has left.

    Nothing leaves where team.url and team.form are not set, in ~/.khive/config.toml or in
    config.local.toml: what a project's config.toml says of [team] counts for nothing. The first
    push sends what was recorded before, too. A push that was killed sends the same versions again.
    """
    if dry_run and as_json:
        raise click.UsageError("--dry-run prints a JSON line a record: leave --json out")
    project = drained_project()
    if dry_run:
        anyio.run(partial(rehearse, project, _show, limit=limit, is_all=is_all))
        return
    with progress("records") as advance:
        pushed = anyio.run(partial(push, project, limit=limit, is_all=is_all, advance=advance))
    if as_json:
        print_json(pushed)
    else:
        _print(pushed)


def _show(record: TeamRecord) -> None:
    click.echo(record.to_json())


def _print(pushed: Pushed) -> None:
    if pushed.records or pushed.withdrawn:
        click.echo(f"{pushed.records} records left, {pushed.bytes:,} bytes")
    else:
        click.echo("nothing new")
    if pushed.withdrawn:
        click.echo(f"{pushed.withdrawn} records were taken out of the team's store")
    if not pushed.is_complete:
        warn("the limit was reached: push again for the rest")
