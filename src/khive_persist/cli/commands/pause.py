"""`khive-persist pause`."""

from datetime import timedelta

import click

from khive_persist import clock
from khive_persist.capture import pauses
from khive_persist.cli.options import Parsed, nearest_project, with_project
from khive_persist.cli.output import cell, print_json

DURATION = Parsed("duration", clock.duration)


@click.command("pause")
@click.option("--here", is_flag=True, help="Of this project only.")
@click.option("--session", "session_id", metavar="ID", help="Of this session only, by its id.")
@click.option("--for", "time", type=DURATION, metavar="TIME",
              help="End by itself after so long: 30m, 2h, 1d.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
def command(here: bool, session_id: str | None, time: timedelta | None, as_json: bool) -> None:
    """Stop recording: of all projects, of this one, or of one session.

    \b
      khive-persist pause --for 2h
      khive-persist pause --here
      khive-persist pause --session 3aeaa724-c75a-4fc5-9e77-8feafee36ced
      KHIVE_OFF=1 claude

    Hooks stay installed and go on in silence, with exit code 0. `sync` does not read what
    transcripts have of such a time or session, later either. Events that are kept out are counted:
    `resume`, `doctor` and `hooks status` say how many. Plans and records that a program saves, and
    what `import` brings, come in as ever.

    A hook does not know its session, so the events of a paused one are dropped where others are
    stored: they lie in the spool until then, for some milliseconds, and never come into a database
    or the mirror. An agent that its client runs as a session of its own is another session.

    KHIVE_OFF=1 in the environment of a tool stops it for what runs there: its hooks write nothing
    but the time and the session's id. HTTP hooks tell the server of it, which does the same, where
    they were installed by this version or a later one.
    """
    if here and session_id is not None:
        raise click.UsageError("--here and --session exclude each other")
    if session_id == "":
        raise click.UsageError("a session id has at least one character")
    seconds = None if time is None else time.total_seconds()
    if session_id is not None:
        pause = pauses.pause("session", session_id, seconds=seconds)
    elif here:
        pause = pauses.pause("project", str(nearest_project().root), seconds=seconds)
    else:
        pause = pauses.pause("all", seconds=seconds)
    if as_json:
        print_json(pause)
        return
    end = "until khive-persist resume" if pause.until is None else f"until {pause.until[:19]}"
    click.echo(f"recording is off for {cell(pauses.described(pause))} {end}")
