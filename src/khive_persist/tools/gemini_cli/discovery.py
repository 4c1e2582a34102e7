"""Find Gemini CLI's transcripts: a folder a project, subagents in one that is named by session."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.gemini_cli.transcript import Reader, state_of
from khive_persist.tools.head import documents
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import folders_in, in_folder
from khive_persist.tools.transcripts import Transcripts


def _find(project: Project | None) -> Iterator[Path]:
    home = Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"
    for folder in folders_in(home / "tmp"):
        if project is None or _is_of_project(folder, project):
            yield from in_folder(folder / "chats")


def _is_of_project(folder: Path, project: Project) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return project.has((folder / ".project_root").read_text("utf-8").strip())
    names = (hashlib.sha256(os.fsencode(root)).hexdigest() for root in project.roots)
    return folder.name in names


def _of_agents(transcript: Path) -> list[Path]:
    session_id = _session_of(transcript)
    is_name = isinstance(session_id, str) and Path(session_id).name == session_id
    return in_folder(transcript.parent / str(session_id)) if is_name else []


def _session_of(transcript: Path) -> object:
    ids = (line["sessionId"] for line in documents(transcript) if "sessionId" in line)
    return next(ids, None)


def _is_line(document: Mapping[str, Any]) -> bool:
    return ("sessionId" in document and "projectHash" in document) or "$set" in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=state_of,
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
)
