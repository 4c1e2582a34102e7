"""Where the transcripts of a place's sessions lie."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.store import codec
from khive_persist.transcripts import claude_code, codex, gemini_cli

_HEAD_LINES: Final = 20
_HEAD_LINE_BYTES: Final = 1 << 20
_DAY_SECONDS: Final = 86_400


class Transcript(NamedTuple):
    """A transcript, and the tool that writes it."""

    tool: str
    path: Path


def find(root: Path | None) -> Iterator[Transcript]:
    """The transcripts that the tools keep of sessions in a directory or below it.

    Args:
        root: The directory; None for those of all.
    """
    yield from _claude_code(root)
    yield from _codex(root)
    yield from _gemini_cli(root)


def of_agents(transcript: Transcript) -> Iterator[Transcript]:
    """The transcripts of a session's subagents, which their tool keeps in files of their own.

    Codex keeps them among those of sessions: they are looked for among the files of that day and
    later, and only in those that were written to since a day before this one was.
    """
    tool, path = transcript
    with suppress(OSError):
        if tool == claude_code.TOOL:
            found = sorted((path.with_suffix("") / "subagents").rglob("*.jsonl"))
        elif tool == gemini_cli.TOOL:
            ids = [one["sessionId"] for one in _head(path) if "sessionId" in one]
            own = ids[0] if ids and isinstance(ids[0], str) and Path(ids[0]).name == ids[0] else ""
            found = sorted((path.parent / own).glob("*.jsonl")) if own else []
        else:
            found = list(_threads_of(path))
        yield from (Transcript(tool, one) for one in found)


def _threads_of(path: Path) -> Iterator[Path]:
    session = _thread(path).get("session_id")
    since = path.stat().st_mtime - _DAY_SECONDS
    # Their folders are years, months and days.
    root = path.parents[3] if len(path.parents) > 3 and path.parent.name.isdigit() else None
    days = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*")) if root is not None else [path.parent]
    for day in days:
        if root is None or day >= path.parent:
            for one in sorted(day.glob("rollout-*.jsonl")):
                if one != path and one.stat().st_mtime >= since and session is not None:
                    thread = _thread(one)
                    if thread.get("session_id") == session and thread.get("id") != session:
                        yield one


def _thread(path: Path) -> dict[str, Any]:
    for document in _head(path):
        payload = document.get("payload")
        if document.get("type") == "session_meta" and isinstance(payload, dict):
            return payload
    return {}


def tool_of(path: Path) -> str | None:
    """The tool that wrote a transcript, by its first lines; None where it is none's.

    Raises:
        OSError: It cannot be read.
    """
    for document in _head(path):
        if "sessionId" in document and "projectHash" in document:
            return gemini_cli.TOOL
        if "$set" in document:
            return gemini_cli.TOOL
        if isinstance(document.get("payload"), dict) and "timestamp" in document:
            return codex.TOOL
        if "sessionId" in document or "uuid" in document or document.get("type") == "summary":
            return claude_code.TOOL
    return None


def _claude_code(root: Path | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    # The folder's name is the working directory's, with a dash for all but letters and digits: it
    # tells which folders can be meant, and the lines tell which are.
    name = re.sub(r"[^A-Za-z0-9]", "-", str(root)) if root is not None else ""
    for folder in _folders(home / "projects"):
        if folder.name.startswith(name):
            for path in sorted(folder.rglob("*.jsonl")):
                if root is None or _is_below(_working_directory(path), root):
                    yield Transcript(claude_code.TOOL, path)


def _codex(root: Path | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    for folder in ("sessions", "archived_sessions"):
        for path in sorted((home / folder).rglob("rollout-*.jsonl")):
            if root is None or _is_below(_working_directory(path), root):
                yield Transcript(codex.TOOL, path)


def _gemini_cli(root: Path | None) -> Iterator[Transcript]:
    home = Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"
    for folder in _folders(home / "tmp"):
        if root is None or _is_gemini_folder(folder, root):
            for path in sorted((folder / "chats").rglob("*.jsonl")):
                yield Transcript(gemini_cli.TOOL, path)


def _is_gemini_folder(folder: Path, root: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return _is_below((folder / ".project_root").read_text("utf-8").strip(), root)
    return folder.name == hashlib.sha256(str(root).encode()).hexdigest()


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []


def _working_directory(path: Path) -> str | None:
    with suppress(OSError):
        for document in _head(path):
            payload = document.get("payload")
            cwd = document.get("cwd") or (payload.get("cwd") if isinstance(payload, dict) else None)
            if isinstance(cwd, str):
                return cwd
    return None


def _is_below(directory: str | None, root: Path) -> bool:
    return directory is not None and Path(directory).is_relative_to(root)


def _head(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for _ in range(_HEAD_LINES):
            line = file.readline(_HEAD_LINE_BYTES)
            if not line:
                return
            document = codec.column(line)
            if isinstance(document, dict):
                yield document
