"""`khive-persist sync`."""

from functools import partial
from pathlib import Path

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, with_project
from khive_persist.cli.output import print_json, print_table, warn
from khive_persist.cli.progress import progress
from khive_persist.cli.saved import say_mirrored
from khive_persist.maintenance.budget_warnings import run as budget_warnings
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.project import Project
from khive_persist.transcripts.collection import collect
from khive_persist.transcripts.sync import Synced

COLUMNS = ("tool", "new", "changed", "lines", "unknown", "damaged", "transcript")


@click.command("sync")
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
@click.option("--all", "is_all", is_flag=True, help="Transcripts of all projects.")
@click.option("--backfill", "is_backfill", is_flag=True,
              help="Write the events that tool calls should have had.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(paths: tuple[Path, ...], is_all: bool, is_backfill: bool, as_json: bool) -> int:
    """Read the tools' transcripts: every message, once.

    \b
      khive-persist sync                         what the tools keep of this project
      khive-persist sync ~/.claude/projects/x    these files and those of their subagents, or
                                                 all in these folders
      khive-persist query "SELECT role, text FROM conversation WHERE session_id = '…'"

    Claude Code, Codex and Gemini CLI write down what was said, by which model, for how many tokens,
    and delete it after a while. Here it stays. Only what is new is read; a message that stands on
    several lines, in several files or in a resumed session is one message. Lines of a kind that is
    not known are kept as they are, and counted.

    --backfill also writes the hook events that are missing, as of a time when no hooks were
    installed: of the sessions of the files that are named, else of all that were ever read. They
    are marked as reconstructed; `doctor --session` shows what is missing and why. Without it, this
    is done for sessions of which is read now that hooks failed, as when a server was down.
    """
    project = drained_project()
    with progress("bytes") as advance:
        work = partial(
            collect,
            project,
            paths,
            all_projects=is_all,
            reconstruct=is_backfill,
            advance=advance,
        )
        transcripts, failed, reconstructed = anyio.run(work)
    budget_warnings.start(project, configuration.load(project.config))
    if as_json:
        documents = [
            {"tool": tool} | synced._asdict() | {"path": str(synced.path)}
            for tool, synced in transcripts
        ]
        refused = [{"path": str(path), "reason": reason} for path, reason in failed]
        print_json({"transcripts": documents, "failed": refused, "reconstructed": reconstructed})
    else:
        _print(transcripts, project)
        if is_backfill or reconstructed:
            click.echo(f"{reconstructed} events reconstructed", err=True)
    if left_out := sum(synced.left_out for _, synced in transcripts):
        line = f"{left_out} messages stay out: they were purged or pruned before"
        warn(line)
    if paused := sum(synced.paused for _, synced in transcripts):
        warn(f"{paused} messages stay out: recording was paused when they were said")
    if purged := sum(synced.is_purged for _, synced in transcripts):
        warn(f"{purged} transcripts are of sessions that were purged")
    for path, reason in failed:
        warn(f"{path}: {reason}")
    return FAILED if failed else DONE


def _print(transcripts: list[tuple[str, Synced]], project: Project) -> None:
    rows = [
        (
            tool,
            synced.new,
            synced.changed,
            synced.lines,
            synced.unknown or None,
            synced.damaged,
            synced.path,
        )
        for tool, synced in transcripts
        if synced.lines
    ]
    print_table(COLUMNS, rows, f"nothing new in {len(transcripts)} transcripts")
    if rows:
        new = sum(synced.new for _, synced in transcripts)
        click.echo(f"{new} messages in {project.database(CONVERSATIONS.file)}", err=True)
        say_mirrored(project, {CONVERSATIONS.name})
