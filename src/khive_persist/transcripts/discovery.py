"""Find the transcripts of a project's sessions."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.tools.claude_code import transcript as claude_code
from khive_persist.tools.codex import transcript as codex
from khive_persist.tools.gemini_cli import transcript as gemini_cli
from khive_persist.transcripts.head import documents
from khive_persist.transcripts.project import Project
from khive_persist.transcripts.source import COMPRESSED, DOCUMENT, LINES

_DAY_SECONDS: Final = 86_400
_AGENTS: Final = "subagents"


class Transcript(NamedTuple):
    """A transcript, and the tool that writes it."""

    tool: str
    path: Path


def find(root: Path | None) -> Iterator[Transcript]:
    """Yield the transcripts that the tools keep of sessions in a directory or below it.

    Args:
        root: The directory, by whatever links; None for those of all.
    """
    project = None if root is None else Project(root)
    yield from _claude_code(project)
    yield from _codex(project)
    yield from _gemini_cli(project)


def in_folder(folder: Path, pattern: str = "*") -> list[Path]:
    """List the transcripts in a folder and below it, of whatever form, in order of their paths.

    Of a session that is there both compressed and not, it is the one that is not.
    """
    paths = {path for form in (LINES, COMPRESSED) for path in folder.rglob(pattern + form)}
    paths |= set(folder.rglob(f"session-{pattern}{DOCUMENT}"))
    packed = {path for path in paths if path.name.endswith(COMPRESSED)}
    return sorted(paths - {path for path in packed if path.with_suffix("") in paths})


def of_agents(transcript: Transcript) -> Iterator[Transcript]:
    """Yield the transcripts of a session's subagents, which their tool keeps in separate files.

    Codex keeps them among those of sessions: they are looked for among the files of that day and
    later, and only in those that were written to since a day before this one was.
    """
    tool, path = transcript
    with suppress(OSError):
        if tool == claude_code.TOOL:
            agent_paths = in_folder(path.with_suffix("") / _AGENTS)
        elif tool == gemini_cli.TOOL:
            ids = (document["sessionId"] for document in documents(path) if "sessionId" in document)
            session_id = next(ids, None)
            is_name = isinstance(session_id, str) and Path(session_id).name == session_id
            agent_paths = in_folder(path.parent / str(session_id)) if is_name else []
        else:
            agent_paths = list(_threads_of(path))
        yield from (Transcript(tool, agent_path) for agent_path in agent_paths)


def session_of(transcript: Transcript) -> str | None:
    """Return the session of a transcript, by its name and first lines; None where none says.

    Lines of other sessions may stand in it, too.
    """
    tool, path = transcript
    try:
        if tool == claude_code.TOOL:
            is_agents = path.parent.name == _AGENTS
            return path.parent.parent.name if is_agents else path.name.partition(".")[0]
        if tool == codex.TOOL:
            thread = _thread(path)
            session_id = thread.get("session_id") or thread.get("id")
        else:
            ids = (document["sessionId"] for document in documents(path) if "sessionId" in document)
            session_id = next(ids, None)
    except OSError:
        return None
    return session_id if isinstance(session_id, str) else None


def _threads_of(path: Path) -> Iterator[Path]:
    session = _thread(path).get("session_id")
    since = path.stat().st_mtime - _DAY_SECONDS
    # Their folders are years, months and days.
    root = path.parents[3] if len(path.parents) > 3 and path.parent.name.isdigit() else None
    days = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*")) if root is not None else [path.parent]
    for day in days:
        if root is None or day >= path.parent:
            for rollout in in_folder(day, "rollout-*"):
                if rollout != path and rollout.stat().st_mtime >= since and session is not None:
                    thread = _thread(rollout)
                    if thread.get("session_id") == session and thread.get("id") != session:
                        yield rollout


def _thread(path: Path) -> dict[str, Any]:
    for document in documents(path):
        payload = document.get("payload")
        if document.get("type") == "session_meta" and isinstance(payload, dict):
            return payload
    return {}


def tool_of(path: Path) -> str | None:
    """Return the tool that wrote a transcript, by its first lines; None where it is none's.

    Raises:
        OSError: It cannot be read.
    """
    for document in documents(path):
        if "sessionId" in document and "projectHash" in document:
            return gemini_cli.TOOL
        if "$set" in document:
            return gemini_cli.TOOL
        if isinstance(document.get("payload"), dict) and "timestamp" in document:
            return codex.TOOL
        if "sessionId" in document or "uuid" in document or document.get("type") == "summary":
            return claude_code.TOOL
    return None


def _claude_code(project: Project | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    for folder in _folders(home / "projects"):
        paths = in_folder(folder)
        # The folder's name tells that it can be meant, and the lines tell that it is. By a link
        # that is another one than ours the name is another one, too; then one file tells.
        if project is None or project.may_have(folder.name) or _is_of_project(paths[:1], project):
            for path in paths:
                if project is None or _is_of_project([path], project):
                    yield Transcript(claude_code.TOOL, path)


def _codex(project: Project | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    for folder in ("sessions", "archived_sessions"):
        for path in in_folder(home / folder, "rollout-*"):
            if project is None or _is_of_project([path], project):
                yield Transcript(codex.TOOL, path)


def _gemini_cli(project: Project | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"
    for folder in _folders(home / "tmp"):
        if project is None or _is_gemini_folder(folder, project):
            for path in in_folder(folder / "chats"):
                yield Transcript(gemini_cli.TOOL, path)


def _is_gemini_folder(folder: Path, project: Project) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return project.has((folder / ".project_root").read_text("utf-8").strip())
    names = (hashlib.sha256(os.fsencode(root)).hexdigest() for root in project.roots)
    return folder.name in names


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []


def _is_of_project(paths: list[Path], project: Project) -> bool:
    return any(project.has(_working_directory(path)) for path in paths)


def _working_directory(path: Path) -> str | None:
    with suppress(OSError):
        for document in documents(path):
            payload = document.get("payload")
            cwd = document.get("cwd") or (payload.get("cwd") if isinstance(payload, dict) else None)
            if isinstance(cwd, str):
                return cwd
    return None
