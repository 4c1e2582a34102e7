"""`khive-persist replay`."""

import math
from collections.abc import Iterator
from pathlib import Path

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.cli import completions
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import Parsed, drained_project, with_project, with_utc
from khive_persist.cli.output import warn
from khive_persist.cli.progress import progress
from khive_persist.cli.timeline_lines import TimelineLines
from khive_persist.errors import NotFoundError
from khive_persist.models.query import field
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.read import Session, is_known, read_session
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.timeline.entry import Entry


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise ValueError(f"{text!r} is no speed: write 1, 0.5, 20 or max")
    return speed


@click.command("replay")
@click.argument("session", shell_complete=completions.sessions)
@click.option("--speed", type=Parsed("speed", _speed), default=1.0, show_default="1",
              help="Times as fast as it happened; max: without a pause.")  # fmt: skip
@click.option("--max-gap", "max_gap_seconds", type=click.FloatRange(0), metavar="SECONDS",
              help="Make longer pauses as short as this.")  # fmt: skip
@click.option("--thinking", is_flag=True, help="Also what the model thought.")
@click.option("--to-html", metavar="FILE", help="Write one HTML file that plays it; - is stdout.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--emit", "destination", metavar="COMMAND|URL",
              help="Send the tool's payloads there again instead.")  # fmt: skip
@with_project
@with_utc
def command(
    session: str,
    speed: float,
    max_gap_seconds: float | None,
    thinking: bool,
    to_html: str | None,
    force: bool,
    destination: str | None,
) -> int:
    """Play a session as it happened, as a page, or to another recorder.

    SESSION is a session's id, or the beginning of one. On a terminal, keys steer it: space pauses,
    n and b step, arrows seek and change the speed, e goes to the next failure, q leaves, ? tells
    all of them.

    \b
      khive-persist replay 3aeaa724 --speed 10 --max-gap 2
      khive-persist replay 3aeaa724 --to-html session.html
      khive-persist replay 3aeaa724 --speed max --emit 'khive-hook --tool {tool} --dir /tmp/other'
      khive-persist replay 3aeaa724 --emit 'http://127.0.0.1:8420/hooks/{tool}'

    The page is one file that needs no network. --emit starts COMMAND for each event, its payload
    on stdin, or posts it to URL, in order and pace; {tool} is the tool's name, and KHIVE_TOKEN a
    token to send along. Secrets stay replaced. Payloads that were not kept whole are not sent.
    """
    if destination is not None and to_html is not None:
        raise click.UsageError("--emit and --to-html do not go together")
    if force and to_html is None:
        raise click.UsageError("--force goes with --to-html")
    project = drained_project()
    recorded = anyio.run(read_session, project.root, session)
    if not any(recorded):
        if anyio.run(is_known, project, session):
            raise NotFoundError(f"the session {session!r} has nothing that can be played")
        raise NotFoundError(f"no session has an id that begins with {session!r}")
    id = next(str(record.content["session_id"]) for records in recorded for record in records)
    if destination is not None:
        return _emit(project, id, destination, speed, max_gap_seconds)
    prices = PriceTable(configuration.load(project.config).cost_prices)
    entries = build_timeline(recorded, prices, thinking=thinking)
    if to_html is not None:
        _write_page(id, recorded, entries, to_html, force=force)
    else:
        _play(entries, speed, max_gap_seconds)
    return DONE


def _play(entries: list[Entry], speed: float, max_gap_seconds: float | None) -> None:
    from khive_persist.replay.playback import Playback, offsets
    from khive_persist.replay.terminal import play

    timeline = TimelineLines()

    def lines(start: int, end: int) -> Iterator[str]:
        nonlocal timeline
        if start == 0:
            timeline = TimelineLines()
        for entry in entries[start:end]:
            yield from timeline.render(entry)

    times = [entry.at for entry in entries]
    failures = [index for index, entry in enumerate(entries) if entry.is_failed]
    playback = Playback(offsets(times, max_gap_seconds), speed=speed)
    play(playback, lines, failures, lambda text: click.echo(text, nl=False))


def _write_page(
    id: str, session: Session, entries: list[Entry], target: str, *, force: bool
) -> None:
    from khive_persist.replay.page import page
    from khive_persist.transfer.target import replacing

    tools = {str(record.content["tool"]) for record in (*session.events, *session.messages)
             if "tool" in record.content}  # fmt: skip
    text = page(f"Session {id}", sorted(tools), entries)
    if target == "-":
        click.echo(text, nl=False)
        return
    with replacing(Path(target), force=force) as file:
        file.write(text.encode())
    click.echo(f"{len(entries)} entries written to {target}", err=True)


def _emit(
    project: Project, id: str, destination: str, speed: float, max_gap_seconds: float | None
) -> int:
    from khive_persist.replay.emission import emit, target_of
    from khive_persist.replay.originals import originals

    target = target_of(destination)
    payloads = anyio.run(originals, project, field("session_id") == id)
    if not payloads:
        raise NotFoundError(f"no event of the session {id} is recorded, only what else it had")
    with progress("payloads", len(payloads)) as advance:
        result = emit(
            payloads, target, speed=speed, max_gap_seconds=max_gap_seconds, advance=advance
        )
    click.echo(f"{result.accepted} of {len(payloads)} payloads sent", err=True)
    redacted = sum(payload.is_redacted for payload in payloads if payload.payload is not None)
    if redacted:
        click.echo(f"{redacted} of them with placeholders for secrets", err=True)
    for reason, count in result.left_out.items():
        click.echo(f"{count} not sent: {reason}", err=True)
    for reason, count in result.refused.items():
        warn(f"{count} not taken: {reason}")
    return FAILED if result.refused or any(payload.is_lost for payload in payloads) else DONE
