"""`khive-persist team`."""

import anyio
import click
from anyio import to_thread

from khive_persist.cli import completions
from khive_persist.cli.options import drained_project, existing_project, with_project
from khive_persist.cli.output import cell, print_json, print_table, warn
from khive_persist.project import Project
from khive_persist.sessions.verdicts import find_session
from khive_persist.team.status import (
    TeamStatus,
    switch_off,
    switch_on,
    team_status,
    unsent_line,
)

_COLUMNS = ("kind", "form", "records", "bytes", "first day", "last day")


@click.group("team")
def command() -> None:
    """Say what leaves for your team, and keep a session out of it.

    \b
      khive-persist team status
      khive-persist team off 3aeaa724

    `khive-persist push` sends.
    """


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def status(as_json: bool) -> None:
    """Show what left, when and in which form, what waits, and the sessions that are off.

    \b
      khive-persist team status
      khive-persist team status --json | jq '.pending'

    A record that left in several versions counts as often. `purged` are records that were taken out
    of the team's store again. What waits are records that are new or changed since the last push.
    """
    current = team_status(drained_project())
    if as_json:
        print_json(current)
    else:
        _print(current)


@command.command("off")
@click.argument("session", shell_complete=completions.sessions)
@click.option("--withdraw", "withdraws", is_flag=True,
              help="Take out of the team's store what has left.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def off(session: str, withdraws: bool, as_json: bool) -> None:
    """Let nothing more of a session leave.

    \b
      khive-persist team off 3aeaa724
      khive-persist team off 3aeaa724 --withdraw

    SESSION is its id, or the beginning of one. What has left stays in the team's store; with
    --withdraw the next push takes it out there. Here all stays as it is.
    """
    project = existing_project()
    id = anyio.run(_found, project, session)
    result = switch_off(project, id, withdraws=withdraws)
    if as_json:
        print_json({"session_id": id, **result._asdict()})
        return
    click.echo(f"nothing {'more ' if result.is_changed else ''}of session {cell(id)} leaves")
    if result.withdrawing:
        warn(f"{result.withdrawing} records are still in the team's store: push takes them out")
    elif result.records:
        warn(f"{result.records} records have left: --withdraw takes them out of the team's store")


@command.command("on")
@click.argument("session", shell_complete=completions.sessions)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def on(session: str, as_json: bool) -> None:
    """Let a session leave again, with what was recorded in the meantime.

    \b
      khive-persist team on 3aeaa724
    """
    project = existing_project()
    id = anyio.run(_found, project, session)
    result = switch_on(project, id)
    if as_json:
        print_json({"session_id": id, **result._asdict()})
    else:
        click.echo(f"session {cell(id)} leaves {'again' if result.is_changed else 'as before'}")


async def _found(project: Project, session: str) -> str:
    """Return the id that a session begins with; one that is off need not be recorded any more."""
    current = await to_thread.run_sync(team_status, project)
    if session in (off_session.session_id for off_session in current.off_sessions):
        return session
    return await find_session(project, session)


def _print(current: TeamStatus) -> None:
    if current.forms:
        forms = ", ".join(dict.fromkeys(current.forms.values()))
        click.echo(f"{cell(current.url)} gets {forms} of {len(current.forms)} kinds of records")
        names = (current.person, current.machine, current.project)
        click.echo("as person {}, machine {}, project {}".format(*map(cell, names)))
    else:
        click.echo("nothing leaves: team.url or team.form is not set")
    rows = [(*total,) for total in current.totals]
    print_table(_COLUMNS, rows, "nothing has left")
    if current.forms or current.totals:
        click.echo(f"{current.pending} records wait; the last push was {_when(current)}")
    for session in current.off_sessions:
        since = session.since[:19]
        click.echo(f"nothing of session {cell(session.session_id)} leaves since {since}")
    if current.withdrawing:
        warn(f"{current.withdrawing} records are not yet taken out of the team's store")
    if current.problem:
        warn(f"the last push failed: {cell(current.problem)}")
    for unsent in current.unsent:
        warn(unsent_line(unsent))


def _when(current: TeamStatus) -> str:
    return f"at {current.pushed_at[:19]}" if current.pushed_at else "never"
