"""Find Copilot CLI's transcripts: a folder a session, its subagents in the same file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.copilot_cli.transcript import Reader
from khive_persist.tools.head import documents
from khive_persist.tools.message_part import mapping_of
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import folders_in
from khive_persist.tools.transcripts import Transcripts

_NAME: Final = "events.jsonl"
_START: Final = "session.start"
# The start of a session is the first line; some more may come before it.
_LINES: Final = 20


def _find(project: Project | None) -> Iterator[Path]:
    home = Path(os.environ.get("COPILOT_HOME") or Path.home() / ".copilot")
    for folder in folders_in(home / "session-state"):
        path = folder / _NAME
        if path.is_file() and (project is None or project.has(_directory(path))):
            yield path


def _directory(path: Path) -> str | None:
    with suppress(OSError):
        cwd = mapping_of(_start(path).get("context")).get("cwd")
        return cwd if isinstance(cwd, str) else None
    return None


def _session_of(path: Path) -> object:
    return _start(path).get("sessionId")


def _start(path: Path) -> Mapping[str, Any]:
    for _, document in zip(range(_LINES), documents(path), strict=False):
        if document.get("type") == _START:
            return mapping_of(document.get("data"))
    return {}


def _is_line(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("data"), dict) and "parentId" in document and "type" in document


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=lambda _path: {},
    is_line=_is_line,
    find=_find,
    of_agents=lambda _path: (),
    session_of=_session_of,
)
