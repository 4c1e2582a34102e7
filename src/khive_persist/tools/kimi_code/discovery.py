"""Find Kimi Code's transcripts: a folder a session, and in it a file for each of its agents."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.tools.kimi_code.hooks import MAIN
from khive_persist.tools.kimi_code.transcript import KINDS, Reader
from khive_persist.tools.project import Project
from khive_persist.tools.transcript_files import folders_in
from khive_persist.tools.transcripts import Transcripts

_FILE: Final = "wire.jsonl"
_AGENTS: Final = "agents"
_STATE: Final = "state.json"
_STATE_BYTES: Final = 4 << 20
_SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# Of the digest of a working directory, in the name of its folder.
_DIGITS: Final = 12


def _sessions() -> Path:
    home = os.environ.get("KIMI_CODE_HOME")
    return (Path(home) if home else Path.home() / ".kimi-code") / "sessions"


def _find(project: Project | None) -> Iterator[Path]:
    for folder in folders_in(_sessions()):
        for session in folders_in(folder):
            if project is None or project.has(_text(_state(session), "cwd")):
                yield from _in_session(session)


def _of_session(session_id: str, cwd: str) -> Iterator[Path]:
    """Yield the transcript of a session's own agent, which Kimi Code's hooks do not name."""
    if _SESSION.fullmatch(session_id):
        digest = hashlib.sha256(cwd.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
        for folder in folders_in(_sessions()):
            path = folder / session_id / _AGENTS / MAIN / _FILE
            if folder.name.endswith(f"_{digest}") and path.is_file():
                yield path


def _in_session(session: Path) -> Iterator[Path]:
    for agent in folders_in(session / _AGENTS):
        if (agent / _FILE).is_file():
            yield agent / _FILE


def _of_agents(transcript: Path) -> Iterator[Path]:
    session = _session_folder(transcript)
    if session is not None and transcript.parent.name == MAIN:
        yield from (path for path in _in_session(session) if path != transcript)


def _session_of(transcript: Path) -> object:
    session = _session_folder(transcript)
    return session.name if session is not None else None


def _session_folder(transcript: Path) -> Path | None:
    """Return the folder of a transcript's session; None for a file that lies elsewhere."""
    agents = transcript.parent.parent
    is_there = transcript.name == _FILE and agents.name == _AGENTS
    return agents.parent if is_there and _SESSION.fullmatch(agents.parent.name) else None


def _state_of(transcript: Path) -> dict[str, Any]:
    """Return what a transcript's place tells: its session and agent, and how these came to be."""
    session = _session_folder(transcript)
    if session is None:
        return {}
    document = _state(session)
    state: dict[str, Any] = {"session_id": session.name}
    if cwd := _text(document, "cwd"):
        state["cwd"] = cwd
    if origin := _text(document, "forkedFrom"):
        state["forked_from"] = origin
        state["created_at"] = document.get("createdAt")
    if transcript.parent.name != MAIN:
        state["agent_id"] = transcript.parent.name
        state |= _parent(document, transcript.parent.name)
    return state


def _parent(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    agents = document.get("agents")
    agent = agents.get(name) if isinstance(agents, dict) else None
    if not isinstance(agent, dict):
        return {}
    labels = agent.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    parent = _text(agent, "parentAgentId") or _text(labels, "parentAgentId")
    known: dict[str, Any] = {"agent_type": _text(labels, "profileName")}
    if parent == MAIN:
        known["parent_is_session"] = True
    else:
        known["parent_agent_id"] = parent
    return {field: value for field, value in known.items() if value}


def _state(session: Path) -> Mapping[str, Any]:
    """Return what stands in a session's `state.json`; nothing where it cannot be read."""
    try:
        with (session / _STATE).open("rb") as file:
            document = codec.column(file.read(_STATE_BYTES))
    except OSError:
        return {}
    return document if isinstance(document, dict) else {}


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def _is_line(document: Mapping[str, Any]) -> bool:
    return (
        "agentId" in document or document.get("kind") == "event" or "protocol_version" in document
    ) and document.get("type") in KINDS


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=_state_of,
    is_line=_is_line,
    find=_find,
    of_agents=_of_agents,
    session_of=_session_of,
    of_session=_of_session,
)
