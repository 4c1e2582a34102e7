"""Find the sessions of OpenCode and its forks: rows of a database in their data folder."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreError
from khive_persist.store.sqlite.session_database import SessionDatabase
from khive_persist.tools.opencode.transcript import Reader, state_of
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import DATABASE, in_database
from khive_persist.tools.transcripts import Transcripts

_IN_MEMORY: Final = ":memory:"


def transcripts(folder: str, variable: str) -> Transcripts:
    """Return what is known of the transcripts of a client.

    Args:
        folder: The name of its folder in the user's data folder.
        variable: The environment variable that names another database, alone or in that folder.
    """
    return Transcripts(
        reader=Reader,
        state_beside=state_of,
        is_line=lambda _document: False,
        find=partial(_find, folder, variable),
        of_agents=_of_agents,
        session_of=_session_of,
    )


def _find(folder: str, variable: str, project: Project | None) -> Iterator[Path]:
    for database in _databases(folder, variable):
        try:
            with SessionDatabase(database) as opened:
                sessions = opened.sessions()
        except (OSError, StoreError):
            # It is given all the same: whoever reads it says why it cannot be.
            yield database
            continue
        for session in sessions:
            if project is None or project.has(_text(session.get("directory"))):
                yield database / str(session["id"])


def _databases(folder: str, variable: str) -> list[Path]:
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / folder
    databases = {path for path in data.glob(f"*{DATABASE}") if path.is_file()}
    named = os.environ.get(variable)
    if named and named != _IN_MEMORY and (data / named).is_file():
        databases.add(data / named)
    return sorted(databases)


def _of_agents(transcript: Path) -> list[Path]:
    place = in_database(transcript)
    if place is None:
        return []
    with SessionDatabase(place.database) as opened:
        sessions = opened.sessions()
    found = {place.session_id}
    # Who is started comes after who started it.
    for session in sessions:
        if session.get("parent_id") in found:
            found.add(str(session["id"]))
    found.discard(place.session_id)
    return [place.database / str(s["id"]) for s in sessions if str(s["id"]) in found]


def _session_of(transcript: Path) -> object:
    return state_of(transcript).get("session_id")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


TRANSCRIPTS: Final = transcripts("opencode", "OPENCODE_DB")
