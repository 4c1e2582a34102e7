"""`khive-persist resume`."""

import click

from khive_persist import clock
from khive_persist.capture import pauses
from khive_persist.capture.pauses import Pause
from khive_persist.cli.options import nearest_project, with_project
from khive_persist.cli.output import cell, print_json
from khive_persist.sessions.timeline.labels import duration


@click.command("resume")
@click.option("--here", is_flag=True, help="Of this project only.")
@click.option("--session", "session_id", metavar="ID", help="Of this session only, by its id.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
def command(here: bool, session_id: str | None, as_json: bool) -> None:
    """Record again, and say what was not recorded, and for how long.

    \b
      khive-persist resume
      khive-persist resume --here
      khive-persist resume --session 3aeaa724-c75a-4fc5-9e77-8feafee36ced

    Without an option all pauses end: of all projects, of each one, and of sessions. What was kept
    out stays out. Where nothing is paused, nothing changes.
    """
    if here and session_id is not None:
        raise click.UsageError("--here and --session exclude each other")
    if session_id is not None:
        resumed = pauses.resume("session", session_id)
    elif here:
        resumed = pauses.resume("project", str(nearest_project().root))
    else:
        resumed = pauses.resume()
    if as_json:
        print_json(resumed)
        return
    for pause in resumed:
        click.echo(_line(pause))
    if not resumed:
        click.echo(_nothing_line(here, session_id))


def _line(pause: Pause) -> str:
    since, until = clock.from_column(pause.since), clock.from_column(pause.until)
    assert since is not None
    assert until is not None
    return (
        f"recording is on again for {cell(pauses.described(pause))}: it was off for"
        f" {duration(until - since)}, and {pause.unrecorded} events were not recorded"
    )


def _nothing_line(here: bool, session_id: str | None) -> str:
    if session_id is not None:
        return cell(f"session {session_id} was not paused", None)
    return "this project was not paused by itself" if here else "nothing was paused"
