"""The history of a file: who touched it, when, by which call, and why."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import anyio.to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture.client_recognition import in_our_words
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidQueryError
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.models.query import checked_count
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions.definitions import (
    event_tables,
    is_message_sql,
    session_sql,
    text_sql,
    time_sql,
)
from khive_persist.sessions.file_paths import FileNames, named_paths, renamings_of
from khive_persist.sessions.read import Session, SessionReader, client_of, event_purposes
from khive_persist.sessions.timeline.build import build_with_calls
from khive_persist.sessions.timeline.calls import EventCall
from khive_persist.sessions.timeline.entry import Entry, content_of
from khive_persist.sessions.timeline.tool_call import diff
from khive_persist.sessions.titles import read_titles
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement
from khive_persist.tools.message_part import mapping_of, mappings_in
from khive_persist.trust import marks

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 500
MAX_CHARACTERS: Final = 4_096
_PURPOSES: Final = (*EVENT_FILES.values(), CONVERSATIONS)
_CALLS: Final = frozenset({*PRE, *POST})
_LINES: Final = 20
_CHARACTERS: Final = 2_000
_TITLE_CHARACTERS: Final = 500

Change = Literal["edit", "command", "read"]


class Reason(NamedTuple):
    """The reason for a call: the prompt, or the plan, before it.

    Attributes:
        kind: `prompt` or `plan`.
        at: Its time.
        text: Its beginning.
        record_id: The record that has it.
    """

    kind: Literal["prompt", "plan"]
    at: InstantText
    text: str
    record_id: str


class FileTouch(NamedTuple):
    """A call that touched a file.

    Attributes:
        at: Its time.
        change: `edit` where its arguments are one, `command` where a shell's command names the
            file, else `read`.
        path: The path as the call spelled it.
        session_id: Its session.
        title: The session's title; an empty string for none.
        client: The AI tool.
        agent_id: The subagent; an empty string for the session's own agent.
        model: The model; None where it is not known.
        tool_name: The tool that was called.
        call: The call, on one line.
        lines: The beginning of the edit's diff.
        failed: Whether it failed, or was refused.
        reasons: The latest prompt before it, and the plan that the session carries out.
        record_id: The first record that tells of it.
        purpose: The name of its purpose.
        is_latest: Whether no other call edited the file later.
    """

    at: InstantText
    change: Change
    path: str
    session_id: str
    title: str
    client: str
    agent_id: str
    model: str | None
    tool_name: str
    call: str
    lines: list[str]
    failed: bool
    reasons: list[Reason]
    record_id: str
    purpose: str
    is_latest: bool


class FileHistory(NamedTuple):
    """The calls that touched a file.

    Attributes:
        path: The path that was asked for.
        names: The names that the file has had, below the project's root where it lies there.
        matched: The number of calls that touched it, in all.
        sessions: The number of their sessions.
        shown: The number of calls that are given.
        touches: The latest first.
    """

    path: str
    names: list[str]
    matched: int
    sessions: int
    shown: int
    touches: list[FileTouch]


class _Row(NamedTuple):
    """A record that may tell of a call on the file."""

    at: str
    session_id: str
    purpose: str
    content: str


async def search_file(
    path: str,
    *,
    limit: int = DEFAULT_LIMIT,
    dir: Path | str | None = None,
    project: Project | None = None,
) -> FileHistory:
    """Find who touched a file, when, by which call, and why.

        await search_file("src/app.py")

    A relative path is below the project's root. It is found however a call spelled it: absolute,
    relative to the directory that the tool worked in, below the place where the project lay before
    it moved, and under the names that it had before it, or its folder, was renamed with `mv`,
    `git mv` or a patch. Nothing is looked up on the disk.

    Args:
        path: The file's path.
        limit: At most so many calls, to 500.
        dir: The directory that holds `.khive`.
        project: The project, in place of `dir`.

    Raises:
        InvalidQueryError: The path is empty or too long, or the limit is out of range.
        StoreError: As its subclasses say.
    """
    if not path.strip("/ \t\r\n") or "\0" in path:
        raise InvalidQueryError("no file to look for", hint="give the path of a file")
    if len(path) > MAX_CHARACTERS:
        raise InvalidQueryError(f"the path has more than {MAX_CHARACTERS} characters")
    if (checked_count("limit", limit) or 0) > MAX_LIMIT:
        raise InvalidQueryError(f"limit is at most {MAX_LIMIT}")
    place = find_project(dir) if project is None else project
    names = FileNames(path, _roots(place))
    async with reading(place, *_PURPOSES) as reader:
        calls = await _candidates(reader, names)
        latest = _latest_first(calls)
        titles = await read_titles(reader, dict.fromkeys(latest)) if latest else {}
    prices = PriceTable(configuration.load(place.config).cost_prices)
    touches: list[FileTouch] = []
    async with SessionReader(place.root) as reading_sessions:
        for session_id, last in latest.items():
            # Whatever follows is older than those that are shown already.
            if len(touches) >= limit and (not limit or touches[limit - 1].at > last):
                break
            session = await reading_sessions.read(session_id)
            title = titles.get(session_id, "")
            touches += await anyio.to_thread.run_sync(
                partial(_touches_of, session, session_id, title, names, prices)
            )
            touches.sort(key=lambda touch: (touch.at, touch.record_id), reverse=True)
    matched = max(len(calls), len(touches))
    return FileHistory(
        path, names.names, matched, len(latest), min(limit, len(touches)),
        _with_latest(touches[:limit]),
    )  # fmt: skip


def _roots(project: Project) -> list[Path]:
    physical = marks.physical(project.khive).parent
    earlier = marks.earlier_paths().get(physical, ())
    return [*dict.fromkeys((project.root, physical, *map(Path, earlier)))]


async def _candidates(reader: Reader, names: FileNames) -> dict[tuple[str, str], str]:
    """Return the times of the calls on the file, by session and call; its names grow meanwhile."""
    searched: set[str] = set()
    rows: list[_Row] = []
    while remaining := [name for name in names.base_names if name not in searched]:
        searched.update(remaining)
        rows += await reader.fetch_as(_Row, partial(_rows, remaining))
        parsed = await anyio.to_thread.run_sync(partial(_parsed, rows))
        names.follow(
            (renaming, directory)
            for _, _, _, arguments, directory in parsed
            for renaming in renamings_of(arguments)
        )
    calls: dict[tuple[str, str], str] = {}
    for at, session_id, key, arguments, directory in _parsed(rows):
        if session_id and any(names.has(path, directory) for path in named_paths(arguments)):
            calls[session_id, key] = max(at, calls.get((session_id, key), at))
    return calls


def _rows(base_names: Sequence[str], source: Source) -> Statement:
    """Select the records in which a name stands: what they say of it is read of their content."""
    words = " OR ".join([f"instr({source.content}, ?)"] * len(base_names))
    # As JSON spells it.
    values = [codec.dump_lossy(name)[1:-1] for name in base_names]
    selects = []
    for client, table in event_tables(source):
        kinds = ", ".join(f"'{kind}'" for kind in sorted(_CALLS))
        condition = f"{source.extract('$.event_type')} IN ({kinds})"
        selects.append(_select(source, EVENT_FILES[client].name, table, condition, words))
    messages = source.only(CONVERSATIONS.name).sql
    selects.append(_select(source, CONVERSATIONS.name, messages, is_message_sql(source), words))
    union = " UNION ALL ".join(f"SELECT * FROM ({select})" for select in selects)
    return Statement(f"SELECT * FROM ({union})", values * len(selects))


def _select(source: Source, purpose: str, table: str, condition: str, words: str) -> str:
    return (
        f"SELECT {time_sql(source)} AS at, {session_sql(source)} AS session_id,"
        f" '{purpose}' AS purpose, {source.content} AS content"
        f" FROM {table} WHERE {condition} AND ({words}) AND {text_sql(source, 'session_id')} != ''"
        " LIMIT -1"
    )


def _parsed(rows: Sequence[_Row]) -> Iterator[tuple[str, str, str, Any, str]]:
    """Yield the calls of some records: time, session, key, arguments and directory."""
    for row in rows:
        content = codec.column(row.content)
        if not isinstance(content, Mapping):
            continue
        directory = content.get("cwd")
        directory = directory if isinstance(directory, str) else ""
        if row.purpose == CONVERSATIONS.name:
            for call in mappings_in(content.get("tool_calls")):
                key = str(call.get("tool_use_id") or codec.dump_lossy(call.get("input")))
                yield row.at, row.session_id, key, call.get("input"), directory
        else:
            arguments = in_our_words(mapping_of(content.get("payload"))).get("tool_input")
            key = str(content.get("tool_use_id") or codec.dump_lossy(arguments))
            paths = content.get("file_paths")
            if not named_paths(arguments) and isinstance(paths, list) and paths:
                arguments = {"path": str(paths[0])}
            yield row.at, row.session_id, key, arguments, directory


def _latest_first(calls: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Return the sessions with the times of their last calls, the latest first."""
    last: dict[str, str] = {}
    for (session_id, _), at in calls.items():
        last[session_id] = max(at, last.get(session_id, at))
    return dict(sorted(last.items(), key=lambda pair: pair[1], reverse=True))


def _touches_of(
    session: Session, session_id: str, title: str, names: FileNames, prices: PriceTable
) -> list[FileTouch]:
    timeline = build_with_calls(session, prices)
    directories = _directories(session)
    purposes, client = event_purposes(session), client_of(session)
    prompt: Reason | None = None
    plan: Reason | None = None
    touches = []
    for entry in timeline.entries:
        if entry.kind == "prompt" and not entry.agent_id:
            prompt = _reason("prompt", entry)
        elif entry.kind == "plan":
            plan = _reason("plan", entry)
        call = timeline.calls.get(entry.id) if entry.kind == "tool" else None
        if call is None:
            continue
        directory = next((d for id in entry.records if (d := directories.get(id))), "")
        path = _path_of(call, names, directory)
        if path is None:
            continue
        record_id = entry.records[0] if entry.records else ""
        changes = diff(call.input)
        is_file = path in entry.files or path in call.paths
        change: Change = "edit" if changes and is_file else "read" if is_file else "command"
        touches.append(
            FileTouch(
                at=clock.to_text(entry.at),
                change=change,
                path=path,
                session_id=session_id,
                title=title,
                client=client,
                agent_id=entry.agent_id or "",
                model=entry.model,
                tool_name=call.name,
                call=entry.title[:_TITLE_CHARACTERS],
                lines=_short(changes) if change == "edit" else [],
                failed=entry.is_failed,
                reasons=[reason for reason in (prompt, plan) if reason is not None],
                record_id=record_id,
                purpose=purposes.get(record_id, CONVERSATIONS.name),
                is_latest=False,
            )
        )
    return touches


def _path_of(call: EventCall, names: FileNames, directory: str) -> str | None:
    paths = [*call.paths, *named_paths(call.input)]
    return next((path for path in paths if names.has(path, directory)), None)


def _with_latest(touches: Sequence[FileTouch]) -> list[FileTouch]:
    """Mark the last edit that did not fail, and all that came after it."""
    marked = []
    is_latest = True
    for touch in touches:
        marked.append(touch._replace(is_latest=is_latest))
        if touch.change != "read" and not touch.failed:
            is_latest = False
    return marked


def _directories(session: Session) -> dict[str, str]:
    records = (*session.events, *session.messages)
    directories = ((record.id, content_of(record).get("cwd")) for record in records)
    return {id: directory for id, directory in directories if isinstance(directory, str)}


def _reason(kind: Literal["prompt", "plan"], entry: Entry) -> Reason:
    text = "\n".join((entry.title, *entry.lines[:_LINES]))[:_CHARACTERS]
    record_id = entry.records[0] if entry.records else ""
    return Reason(kind, clock.to_text(entry.at), text, record_id)


def _short(lines: Sequence[str]) -> list[str]:
    beginning, remaining = [], _CHARACTERS
    for line in lines[:_LINES]:
        if remaining <= 0:
            break
        beginning.append(line[:remaining])
        remaining -= len(line)
    return beginning
