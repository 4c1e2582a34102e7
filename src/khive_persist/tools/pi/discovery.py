"""Find pi's transcripts: a folder a working directory, branches in one file, forks in their own."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.head import documents
from khive_persist.tools.pi.transcript import Reader
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import in_folder
from khive_persist.tools.transcripts import Transcripts


def _find(project: Project | None) -> Iterator[Path]:
    for path in in_folder(_sessions()):
        # Only the header names the directory: that in the folder's name is not unique.
        if project is None or project.has_session(path):
            yield path


def _sessions() -> Path:
    if sessions := os.environ.get("PI_CODING_AGENT_SESSION_DIR"):
        return Path(sessions).expanduser()
    home = os.environ.get("PI_CODING_AGENT_DIR")
    return (Path(home).expanduser() if home else Path.home() / ".pi" / "agent") / "sessions"


def _session_of(transcript: Path) -> object:
    ids = (line.get("id") for line in documents(transcript) if line.get("type") == "session")
    return next(ids, None)


def _is_line(document: Mapping[str, Any]) -> bool:
    return document.get("type") == "session" and "id" in document and "cwd" in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=lambda _transcript: {},
    is_line=_is_line,
    find=_find,
    of_agents=lambda _transcript: (),
    session_of=_session_of,
)
