"""Find Claude Code's transcripts: a folder a working directory, subagents in one of the session."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.claude_code.transcript import Reader, state_of
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import folders_in, in_folder
from khive_persist.tools.transcripts import Transcripts

_AGENTS: Final = "subagents"
# Longer names it cuts, and adds a digest.
_NAME_UNITS: Final = 200


def _find(project: Project | None) -> Iterator[Path]:
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    roots = () if project is None else project.roots
    names = tuple(folder_name(str(root))[:_NAME_UNITS] for root in roots)
    for folder in folders_in(home / "projects"):
        paths = in_folder(folder)
        # The folder's name tells that it can be meant, and the lines tell that it is. By a link
        # that is another one than ours the name is another one, too; then one file tells.
        if (
            project is None
            or folder.name.startswith(names)
            or any(map(project.has_session, paths[:1]))
        ):
            yield from (path for path in paths if project is None or project.has_session(path))


def folder_name(path: str) -> str:
    """Return the name of the folder for a directory, before it is cut.

    Each UTF-16 unit that is no letter or digit of ASCII is a dash.
    """
    return re.sub("[^A-Za-z0-9]", lambda match: "--" if match[0] > "\uffff" else "-", path)


def _of_agents(transcript: Path) -> list[Path]:
    return in_folder(transcript.with_suffix("") / _AGENTS)


def _session_of(transcript: Path) -> str:
    is_agents = transcript.parent.name == _AGENTS
    return transcript.parent.parent.name if is_agents else transcript.name.partition(".")[0]


def _is_line(document: Mapping[str, Any]) -> bool:
    return "sessionId" in document or "uuid" in document or document.get("type") == "summary"


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=state_of,
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
)
