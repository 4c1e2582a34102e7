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
@click.option("--session", "session_id", metavar="ID", help="Of this session only, by its whole id.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
def command(here: bool, session_id: str | None, as_json: bool) -> None:
    """Record again, and say what was not recorded, and for how long.

    Without an option all pauses end: of all projects, of each one, and of sessions. What was kept
    out stays out. Where nothing is paused, nothing changes.
    """
    if here and session_id is not None:
        raise click.UsageError("--here and --session exclude each other")
    if session_id is not None:
        ended = pauses.resume("session", session_id)
    elif here:
        ended = pauses.resume("project", str(nearest_project().root))
    else:
        ended = pauses.resume()
    if as_json:
        print_json(ended)
        return
    for pause in ended:
        click.echo(_line(pause))
    if not ended:
        click.echo("nothing was paused")


def _line(pause: Pause) -> str:
    since, until = clock.from_column(pause.since), clock.from_column(pause.until)
    assert since is not None
    assert until is not None
    return (
        f"recording is on again for {cell(pauses.described(pause))}: it was off for"
        f" {duration(until - since)}, and {pause.unrecorded} events were not recorded"
    )
