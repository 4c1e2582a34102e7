"""Find sessions of a project with a transcript, and no event since the hooks were installed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from khive_persist.capture.hook_config.install import has_scope, hook_files
from khive_persist.errors import InvalidSettingsError
from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.read import is_session
from khive_persist.store import codec
from khive_persist.tools import Scope
from khive_persist.transcripts import discovery
from khive_persist.transcripts.paused_messages import PausedMessages
from khive_persist.trust import search

_NEWEST: Final = 200
_HEAD_BYTES: Final = 1 << 18
_NAMED: Final = 3
# A session begins before its first hook has run.
_GRACE_SECONDS: Final = 5.0


class _SessionStart(NamedTuple):
    """A session, as the first lines of its transcript tell."""

    tool: str
    session_id: str
    at: float


async def unrecorded(project: Project) -> list[str]:
    """Return the sessions of the 200 newest transcripts that have no event, one line a tool.

    A settings file's time of change stands for that of the installation: sessions before it are
    passed over, and so are those that were paused.
    """
    since = {tool: at for tool in HOOK_EVENTS if (at := _installed_at(tool, project)) is not None}
    if not since:
        return []
    missing: dict[str, list[str]] = {}
    paused_messages = PausedMessages(project)
    async with reading(project, *EVENT_FILES.values()) as reader:
        for began in dict.fromkeys(_sessions(project, since)):
            if paused_messages.has_kept_out(began.session_id, int(began.at * 1e9)):
                continue
            if not await is_session(reader, began.session_id):
                missing.setdefault(began.tool, []).append(began.session_id)
    return [
        f"{len(ids)} sessions of {tool} here have a transcript and no event, though its hooks were"
        f" installed before ({', '.join(ids[:_NAMED])}): khive-persist sync --backfill"
        for tool, ids in missing.items()
    ]


def _installed_at(tool: str, project: Project) -> float | None:
    """Return the time since which the hooks of a tool are surely installed here, or None."""
    times = []
    for scope in get_args(Scope):
        if has_scope(tool, scope):
            with suppress(InvalidSettingsError, OSError):
                files = hook_files(tool, scope, project.root)
                if files.registered().entries:
                    times.append(files.changed_at())
    return min(times, default=None)


def _sessions(project: Project, since: dict[str, float]) -> Iterator[_SessionStart]:
    """Yield the sessions of the project that began since, the newest first."""
    candidates: list[tuple[float, discovery.Transcript]] = []
    for transcript in discovery.find(project.root):
        with suppress(OSError):
            modified = transcript.path.stat().st_mtime
            if transcript.tool in since and modified > since[transcript.tool]:
                candidates.append((modified, transcript))
    candidates.sort(key=lambda pair: pair[0], reverse=True)
    for _, (tool, path) in candidates[:_NEWEST]:
        head = list(_head(path))
        session_id, at, cwd = _of_head(tool, path, head)
        begins = at is not None and at > since[tool] + _GRACE_SECONDS
        if session_id and begins and (not cwd or _is_of(cwd, project)):
            yield _SessionStart(tool, session_id, at or 0.0)


def _of_head(tool: str, path: Path, head: list[dict[str, Any]]) -> tuple[str, float | None, str]:
    """Return the session, the time and the working directory that first lines tell."""
    session_id, at, cwd = "", None, ""
    for line in head:
        payload, data = line.get("payload"), line.get("data")
        context = data.get("context") if isinstance(data, dict) else None
        for part in (line, payload, data, context):
            if not isinstance(part, dict):
                continue
            value = part.get("session_id") or part.get("sessionId")
            session_id = session_id or (value if isinstance(value, str) else "")
            value = part.get("cwd")
            cwd = cwd or (value if isinstance(value, str) else "")
            value = part.get("timestamp") or part.get("startTime")
            if at is None and isinstance(value, str):
                with suppress(ValueError):
                    moment = datetime.fromisoformat(value)
                    at = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    if tool == "claude-code" and not session_id:
        session_id = path.stem
    return session_id, at, cwd


def _is_of(cwd: str, project: Project) -> bool:
    """Return whether a hook that runs in a directory records into the project."""
    try:
        return os.path.realpath(search.upward(cwd).root) == os.path.realpath(project.root)
    except (OSError, RuntimeError):
        return False


def _head(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError), path.open("rb") as file:
        for line in file.read(_HEAD_BYTES).splitlines():
            with suppress(ValueError):
                document = codec.load(line)
                if isinstance(document, dict):
                    yield document
