"""Find Qwen Code's transcripts: a folder a working directory, subagents in one of the session."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.message_part import mapping_of
from khive_persist.tools.project import Project
from khive_persist.tools.qwen_code.transcript import SUBAGENTS, Reader, agents_of, state_of
from khive_persist.tools.transcript_files import folders_in
from khive_persist.tools.transcripts import Transcripts


def _find(project: Project | None) -> Iterator[Path]:
    for home in _homes():
        for folder in folders_in(home / "projects"):
            for path in sorted((folder / "chats").glob("*.jsonl")):
                if path.is_file() and (project is None or project.has_session(path)):
                    yield path
                    yield from agents_of(path)


def _homes() -> list[Path]:
    home = Path(os.environ.get("QWEN_HOME") or Path.home() / ".qwen")
    # What it writes may lie elsewhere, where earlier sessions are not.
    runtime = os.environ.get("QWEN_RUNTIME_DIR")
    return list(dict.fromkeys([Path(runtime), home] if runtime else [home]))


def _session_of(transcript: Path) -> str:
    is_agents = transcript.parent.parent.name == SUBAGENTS
    return transcript.parent.name if is_agents else transcript.stem


def _is_line(document: Mapping[str, Any]) -> bool:
    """Tell its lines from Claude Code's, which have the same frame and no parts in a message."""
    if "sessionId" not in document or "uuid" not in document:
        return False
    parts = mapping_of(document.get("message")).get("parts")
    return isinstance(parts, list) or "systemPayload" in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=state_of,
    is_line=_is_line,
    find=_find,
    of_agents=agents_of,
    session_of=_session_of,
)
