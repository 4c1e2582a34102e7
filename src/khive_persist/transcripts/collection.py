"""Find and read the tools' transcripts, as commands and programs ask for it."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.errors import KhiveError, StoreError
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.project_search import existing_project
from khive_persist.store.reader import Reader
from khive_persist.store.redacting import load_redactor
from khive_persist.store.source import Source, Statement, distinct
from khive_persist.threads import Advance, run_stoppable
from khive_persist.tools import TOOLS
from khive_persist.tools.transcript_files import DATABASE, in_database, in_folder
from khive_persist.transcripts.discovery import Transcript, find, of_agents, tool_of
from khive_persist.transcripts.reconciliation import account, backfill, sessions_of
from khive_persist.transcripts.session_rows import sessions_in
from khive_persist.transcripts.sync import Sync, Synced


class Collected(NamedTuple):
    """The result of a sync.

    Attributes:
        transcripts: Each transcript that was read: its tool, and what it brought.
        failed: Files that could not be read, each with the reason.
        reconstructed: The number of missing hook events that were written.
    """

    transcripts: list[tuple[str, Synced]]
    failed: list[tuple[Path, str]]
    reconstructed: int


async def sync(
    *paths: Path | str,
    all_projects: bool = False,
    reconstruct: bool = False,
    dir: Path | str | None = None,
) -> Collected:
    """Read the tools' transcripts: every message once, committed, synced and copied on return.

    Only what is new is read. Cancelled or killed, the next sync goes on from what was committed.

    Args:
        paths: Files, with those of their subagents, or folders of them; without one, what the tools
            keep of this project and what its hook events name.
        all_projects: Without paths, the transcripts of all projects.
        reconstruct: Write the hook events that tool calls should have had, too: of the sessions of
            the files that are named, else of all that were ever read. Otherwise only of sessions
            of which is read now that hooks failed.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no project.
        StoreError: As its subclasses say.
    """
    project = existing_project(dir)
    await anyio.to_thread.run_sync(drain, project)
    sources = [Path(path) for path in paths]
    return await collect(project, sources, all_projects=all_projects, reconstruct=reconstruct)


async def collect(
    project: Project,
    paths: Sequence[Path] = (),
    *,
    all_projects: bool = False,
    reconstruct: bool = False,
    advance: Advance = lambda _: None,
) -> Collected:
    """Read transcripts into a project. See `sync`.

    `advance` is called, in another thread, with the number of bytes read since.
    """
    of_events = await _named_by_events(project) if not paths else []
    listed = partial(_named, paths) if paths else partial(_all, project, of_events, all_projects)

    def run(stopping: Advance) -> Collected:
        def report(count: int) -> None:
            stopping(count)
            advance(count)

        return _read(project, listed(), report)

    result = await run_stoppable(run)
    read = [synced for _, synced in result.transcripts]
    if reconstruct:
        read_paths = [str(synced.path) for synced in read] if paths else None
        sessions = await sessions_of(project, read_paths)
    else:
        failing = [str(synced.path) for synced in read if synced.failed_hooks]
        failing_sessions = await sessions_of(project, failing) if failing else []
        sessions = [id for id in failing_sessions if (await account(project, id)).lost]
    counts = [await backfill(project, session_id) for session_id in sessions]
    return result._replace(reconstructed=sum(counts))


def _read(
    project: Project, transcripts: Iterator[tuple[str | None, Path]], advance: Advance
) -> Collected:
    settings = configuration.load(project.config)
    syncing = Sync(project, settings, load_redactor(project, settings))
    result = Collected([], [], 0)
    for tool, path in transcripts:
        try:
            if tool is None:
                result.failed.append((path, "is no transcript of a tool that is known"))
            else:
                result.transcripts.append((tool, syncing.run(path, tool, advance)))
        except OSError as error:
            result.failed.append((path, error.strerror or str(error)))
        except KhiveError as error:
            result.failed.append((path, str(error)))
    return result


def _named(paths: Sequence[Path]) -> Iterator[tuple[str | None, Path]]:
    for path in paths:
        if path.is_dir():
            for file in in_folder(path):
                yield _tool_of(file), file.absolute()
        elif path.suffix == DATABASE:
            for session in _sessions_in(path.absolute()):
                yield _tool_of(session), session
        else:
            tool = _tool_of(path)
            yield tool, path.absolute()
            if tool is not None:
                yield from of_agents(Transcript(tool, path.absolute()))


def _all(
    project: Project, of_events: Sequence[Transcript], all_projects: bool
) -> Iterator[tuple[str | None, Path]]:
    """Yield what the tools keep of this project, and what its hook events name."""
    seen_paths = set()
    root = None if all_projects else project.root
    for transcript in [*find(root), *of_events]:
        if transcript.path not in seen_paths:
            seen_paths.add(transcript.path)
            yield transcript


async def _named_by_events(project: Project) -> list[Transcript]:
    async with reading(project, *EVENT_FILES.values()) as reader:
        return [
            Transcript(tool, path)
            for client, purpose in EVENT_FILES.items()
            for tool, paths in (await _paths_of(reader, purpose.name, client)).items()
            for path in sorted(path for path in paths | _packed(paths) if _is_there(path))
        ]


async def _paths_of(reader: Reader, name: str, client: str) -> dict[str, set[Path]]:
    """Return the paths that the events in a file name, by the tool that sent them."""
    found: dict[str, set[Path]] = {tool: set() for tool in TOOLS}
    for field in ("$.transcript_path", "$.payload.agent_transcript_path"):
        for path, sender in await reader.fetch(partial(_paths, name, field)):
            tool = sender or client
            if isinstance(path, str) and "\0" not in path and tool in found:
                found[tool].add(Path(path))
    return found


def _paths(name: str, path: str, source: Source) -> Statement:
    return distinct(source.only(name), path, "$.tool")


def _packed(paths: set[Path]) -> set[Path]:
    """Return the other names of files that are not there: Codex compresses a rollout's."""
    return {path.with_name(path.name + ".zst") for path in paths if not _is_there(path)}


def _is_there(path: Path) -> bool:
    return path.is_file() or in_database(path) is not None


def _sessions_in(database: Path) -> list[Path]:
    try:
        return sessions_in(database)
    except (OSError, StoreError):
        # No transcript: what is named is said to be none.
        return [database]


def _tool_of(path: Path) -> str | None:
    try:
        return tool_of(path)
    except OSError:
        return None
