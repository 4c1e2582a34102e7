"""Find Cline's transcripts: a folder a session, with a document for each of its agents."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.cline.transcript import SUFFIX, Reader, state_of
from khive_persist.tools.head import documents
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import folders_in
from khive_persist.tools.transcripts import Transcripts

_OF_AGENT: Final = "__agent_"


def _find(project: Project | None) -> Iterator[Path]:
    for folder in folders_in(_sessions()):
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if paths and (project is None or project.has(state_of(paths[0]).get("cwd"))):
            yield from paths


def _sessions() -> Path:
    if sessions := os.environ.get("CLINE_SESSION_DATA_DIR"):
        return Path(sessions)
    home = Path(os.environ.get("CLINE_DIR") or Path.home() / ".cline")
    return Path(os.environ.get("CLINE_DATA_DIR") or home / "data") / "sessions"


def _of_agents(transcript: Path) -> list[Path]:
    if transcript.name != transcript.parent.name + SUFFIX:
        return []
    return sorted(transcript.parent.glob(f"agent_*{SUFFIX}"))


def _session_of(transcript: Path) -> object:
    """Return the session: an agent's document has its own id behind that of the session."""
    for document in documents(transcript):
        session = document.get("sessionId")
        return session.partition(_OF_AGENT)[0] if isinstance(session, str) else None
    return None


def _is_line(document: Mapping[str, Any]) -> bool:
    return {"sessionId", "updated_at", "agent"} <= document.keys()


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=state_of,
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
)
