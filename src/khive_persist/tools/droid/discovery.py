"""Find Droid's transcripts: a folder a working directory, a subagent's session among the others."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.droid.transcript import START, Reader, state_of
from khive_persist.tools.head import documents
from khive_persist.tools.message_part import text_of
from khive_persist.tools.project import Project
from khive_persist.tools.transcripts import Transcripts


def _find(project: Project | None) -> Iterator[Path]:
    home = Path(os.environ.get("FACTORY_HOME_OVERRIDE") or Path.home())
    for path in sorted((home / ".factory" / "sessions").rglob("*.jsonl")):
        if path.is_file() and (project is None or project.has_session(path)):
            yield path


def _of_agents(transcript: Path) -> Iterator[Path]:
    """Yield the sessions of subagents of a session: their first lines name it."""
    session = text_of(_start(transcript).get("id"))
    if session is None:
        return
    for path in sorted(transcript.parent.glob("*.jsonl")):
        if path.is_file() and _start(path).get("callingSessionId") == session:
            yield path


def _session_of(transcript: Path) -> object:
    return _start(transcript).get("id") or transcript.stem


def _start(transcript: Path) -> Mapping[str, Any]:
    first = next(documents(transcript), {})
    return first if first.get("type") == START else {}


def _is_line(document: Mapping[str, Any]) -> bool:
    # Its messages have the shape of pi's.
    return document.get("type") == START and "id" in document and "payload" not in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=state_of,
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
)
