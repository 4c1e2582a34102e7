"""`khive-persist sync`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from khive_persist import settings as configuration
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_place, with_place
from khive_persist.cli.output import print_json, print_table
from khive_persist.cli.progress import progress
from khive_persist.errors import KhiveError
from khive_persist.opening import reading
from khive_persist.place import Place
from khive_persist.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.sealing import load_redactor
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select
from khive_persist.transcripts.accounting import account, backfill, sessions_of
from khive_persist.transcripts.finding import Transcript, find, of_agents, tool_of
from khive_persist.transcripts.sync import Sync, Synced

COLUMNS = ("tool", "new", "changed", "lines", "unknown", "damaged", "transcript")


@click.command("sync")
@click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]..."
)
@click.option("--all", "is_all", is_flag=True, help="Transcripts of all projects.")
@click.option("--backfill", "is_backfill", is_flag=True,
              help="Write the events that tool calls should have had.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_place
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    is_all: bool,
    is_backfill: bool,
    as_json: bool,
    directory: str | None,
) -> int:
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
    place = drained_place(context, directory)
    settings = configuration.load(place.config)
    sync = Sync(place, settings, load_redactor(place, settings))
    found = _named(paths) if paths else _all(place, is_all=is_all)
    done: list[tuple[str, Synced]] = []
    failed: list[tuple[Path, str]] = []
    with progress("bytes") as advance:
        for tool, path in found:
            try:
                if tool is None:
                    failed.append((path, "is no transcript of a tool that is known"))
                else:
                    done.append((tool, sync.run(path, tool, advance)))
            except OSError as error:
                failed.append((path, error.strerror or str(error)))
            except KhiveError as error:
                failed.append((path, str(error)))
    if is_backfill:
        written = anyio.run(_backfill, place, [str(one.path) for _, one in done] if paths else None)
    else:
        failing = [str(one.path) for _, one in done if one.failed_hooks]
        written = anyio.run(_heal, place, failing) if failing else 0
    if as_json:
        documents = [{"tool": tool} | one._asdict() | {"path": str(one.path)} for tool, one in done]
        refused = [{"path": str(path), "reason": reason} for path, reason in failed]
        print_json({"transcripts": documents, "failed": refused, "reconstructed": written})
    else:
        _print(done, place)
        if is_backfill or written:
            click.echo(f"{written} events reconstructed", err=True)
    for path, reason in failed:
        click.echo(f"khive-persist: {path}: {reason}", err=True)
    return FAILED if failed else DONE


async def _backfill(place: Place, paths: list[str] | None) -> int:
    sessions = await sessions_of(place, paths)
    return sum([await backfill(place, session_id) for session_id in sessions])


async def _heal(place: Place, paths: list[str]) -> int:
    """Backfill the sessions that lack the event of a hook that failed."""
    sessions = await sessions_of(place, paths)
    lacking = [id for id in sessions if (await account(place, id)).lost]
    return sum([await backfill(place, session_id) for session_id in lacking])


def _print(done: list[tuple[str, Synced]], place: Place) -> None:
    rows = [
        (tool, one.new, one.changed, one.lines, one.unknown or None, one.damaged, one.path)
        for tool, one in done
        if one.lines
    ]
    print_table(COLUMNS, rows, f"nothing new in {len(done)} transcripts")
    if rows:
        new = sum(one.new for _, one in done)
        click.echo(f"{new} messages in {place.database(CONVERSATIONS.file)}", err=True)


def _named(paths: tuple[Path, ...]) -> Iterator[tuple[str | None, Path]]:
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*.jsonl")):
                yield _tool_of(file), file.absolute()
        else:
            tool = _tool_of(path)
            yield tool, path.absolute()
            if tool is not None:
                yield from of_agents(Transcript(tool, path.absolute()))


def _all(place: Place, *, is_all: bool) -> Iterator[Transcript]:
    """What the tools keep of this project, and what its hook events name."""
    seen = set()
    root = None if is_all else place.root
    for transcript in [*find(root), *anyio.run(_told, place)]:
        if transcript.path not in seen:
            seen.add(transcript.path)
            yield transcript


async def _told(place: Place) -> list[Transcript]:
    async with reading(place, *HOOK_EVENTS.values()) as reader:
        return [
            Transcript(tool, path)
            for tool, purpose in HOOK_EVENTS.items()
            for path in await _paths_of(reader, purpose.name)
        ]


async def _paths_of(reader: Reader, name: str) -> list[Path]:
    found: set[Path] = set()
    for field in ("$.transcript_path", "$.payload.agent_transcript_path"):
        rows = await reader.fetch(partial(_distinct, name, field))
        found |= {Path(row[0]) for row in rows if isinstance(row[0], str) and "\0" not in row[0]}
    return sorted(path for path in found if path.is_file())


def _distinct(name: str, field: str, source: Source) -> Statement:
    if name not in source.tables:
        return Statement("SELECT 0 LIMIT 0", [])
    return select(
        source._replace(sql=source.tables[name]), columns=f"DISTINCT {source.extract(field)}"
    )


def _tool_of(path: Path) -> Any:
    try:
        return tool_of(path)
    except OSError:
        return None
