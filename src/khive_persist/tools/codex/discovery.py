"""Find Codex's transcripts: a folder a day, those of subagents among them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.codex.transcript import Reader
from khive_persist.tools.head import documents
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import in_folder
from khive_persist.tools.transcripts import Transcripts

_DAY_SECONDS: Final = 86_400


def _find(project: Project | None) -> Iterator[Path]:
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    for folder in ("sessions", "archived_sessions"):
        for path in in_folder(home / folder, "rollout-*"):
            if project is None or project.has_session(path):
                yield path


def _of_agents(transcript: Path) -> Iterator[Path]:
    """Yield those of that day and later that were written to since a day before this one was."""
    if (session := _thread(transcript).get("session_id")) is None:
        return
    since = transcript.stat().st_mtime - _DAY_SECONDS
    # Their folders are years, months and days.
    is_dated = len(transcript.parents) > 3 and transcript.parent.name.isdigit()
    root = transcript.parents[3] if is_dated else None
    days = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*")) if root is not None else [transcript.parent]
    for day in days:
        if root is None or day >= transcript.parent:
            for rollout in in_folder(day, "rollout-*"):
                if rollout != transcript and rollout.stat().st_mtime >= since:
                    thread = _thread(rollout)
                    if thread.get("session_id") == session and thread.get("id") != session:
                        yield rollout


def _session_of(transcript: Path) -> object:
    thread = _thread(transcript)
    return thread.get("session_id") or thread.get("id")


def _thread(path: Path) -> dict[str, Any]:
    for document in documents(path):
        payload = document.get("payload")
        if document.get("type") == "session_meta" and isinstance(payload, dict):
            return payload
    return {}


def _is_line(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("payload"), dict) and "timestamp" in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=lambda _transcript: {},
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
)
