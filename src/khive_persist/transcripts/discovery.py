"""Find the transcripts of a project's sessions, of whatever tool."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from khive_persist.errors import StoreError
from khive_persist.tools import TOOLS, transcripts_of
from khive_persist.tools.head import documents
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import in_database


class Transcript(NamedTuple):
    """A transcript, and the tool that writes it."""

    tool: str
    path: Path


def find(root: Path | None) -> Iterator[Transcript]:
    """Yield the transcripts that the tools keep of sessions in a directory or below it.

    It may be reached by whatever links; None stands for all directories.
    """
    project = None if root is None else Project(root)
    for tool in TOOLS:
        yield from (Transcript(tool, path) for path in transcripts_of(tool).find(project))


def of_agents(transcript: Transcript) -> Iterator[Transcript]:
    """Yield the transcripts of a session's subagents, which their tool keeps in separate files."""
    tool, path = transcript
    with suppress(OSError, StoreError):
        yield from (Transcript(tool, agent) for agent in transcripts_of(tool).of_agents(path))


def session_of(transcript: Transcript) -> str | None:
    """Return the session of a transcript, by its name and first lines; None where none says.

    Lines of other sessions may stand in it, too.
    """
    tool, path = transcript
    try:
        session_id = transcripts_of(tool).session_of(path)
    except (OSError, StoreError):
        return None
    return session_id if isinstance(session_id, str) else None


def tool_of(path: Path) -> str | None:
    """Return the tool that wrote a transcript, by its first lines; None where it is none's.

    One in a database has none: its path tells.
    """
    if in_database(path) is not None:
        patterns = ((tool.name, tool.transcript_file) for tool in TOOLS.values())
        return next((name for name, p in patterns if p and re.search(p, str(path))), None)
    for document in documents(path):
        # Of the first tools the others' lines have words, too: they come last.
        for tool in reversed(TOOLS):
            if transcripts_of(tool).is_line(document):
                return tool
    return None
