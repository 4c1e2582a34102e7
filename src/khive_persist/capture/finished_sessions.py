"""Sessions that have stopped, or are at work: where their events say that the transcripts lie."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.tools import TOOLS, transcripts_of
from khive_persist.tools.transcript_files import in_database

# Of a session, or a turn of it: what was said until then is in the tool's transcript.
_ENDS: Final = tuple(
    f'{word}"'
    for word in (
        "stop", "stop_failure", "interrupt", "session_end", "subagent_stop", "pre_compact"
    )
)  # fmt: skip
_EVENT_TYPE: Final = '"event_type":"'


def ended_transcripts(rows: Iterable[StoredRow]) -> list[Path]:
    """Return the transcripts of the sessions and agents that ended with these events, each once."""
    return named_transcripts(row for row in rows if _may_end(row[1] or ""))


def named_transcripts(rows: Iterable[StoredRow]) -> list[Path]:
    """Return the transcripts of the sessions and agents of these events, each once."""
    paths: dict[Path, None] = {}
    for row in rows:
        content = codec.column(row[1])
        payload = content.get("payload")
        agents = payload.get("agent_transcript_path") if isinstance(payload, dict) else None
        for path in (content.get("transcript_path"), agents):
            if isinstance(path, str) and path and "\0" not in path:
                paths[Path(path)] = None
        if "transcript_path" not in content:
            paths |= dict.fromkeys(_looked_for(content))
    return list(paths)


def _looked_for(content: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the transcripts of an event's session, where its client's hooks name none."""
    words = (content.get(name) for name in ("tool", "session_id", "cwd"))
    tool, session_id, cwd = (word if isinstance(word, str) else "" for word in words)
    if tool in TOOLS and session_id:
        with suppress(OSError):
            yield from transcripts_of(tool).of_session(session_id, cwd)


def _may_end(content: str) -> bool:
    """Return, without reading the JSON, whether an event may be the end of something."""
    at = 0
    while at := content.find(_EVENT_TYPE, at) + 1:
        if content.startswith(_ENDS, at - 1 + len(_EVENT_TYPE)):
            return True
    return False


def size_of(path: Path) -> int | None:
    """Return the size of a transcript; None where there is no file.

    Of one in a database it is that of the database and its log.
    """
    if (place := in_database(path)) is not None:
        log = place.database.with_name(place.database.name + "-wal")
        return (size_of(place.database) or 0) + (size_of(log) or 0)
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
