"""Leave out of transcripts what was said while recording was off."""

import os
from functools import lru_cache
from typing import Any, Final

from khive_persist import clock
from khive_persist.capture import pauses, spool_writer
from khive_persist.capture.pauses import ProjectPauses, Span
from khive_persist.project import Project
from khive_persist.transcripts.batches import Batch

_CACHED: Final = 256


class PausedMessages:
    """Tells which messages of transcripts are not stored, of one project.

    A message counts for the project that its working directory is of, as its hooks do: transcripts
    of all projects may be read into one.
    """

    def __init__(self, project: Project) -> None:
        """Read the pauses.

        Raises:
            ProjectError: They cannot be read.
        """
        spans = [*pauses.load(), *pauses.off_sessions()]
        self._pauses = ProjectPauses(project, spans)
        self._others = [
            span for span in spans if span.scope == "project" and not span.is_of(project)
        ]
        self._state = spool_writer.home()
        self._project_of = lru_cache(_CACHED)(self._search)

    def leave_out(self, batch: Batch) -> int:
        """Take the parts of such messages out of a batch; return the number of messages."""
        if self._pauses.is_empty and not self._others:
            return 0
        pairs = [
            (id, part)
            for id, part in zip(batch.ids, batch.parts, strict=True)
            if not self._is_paused(part.fields, part.created_at)
        ]
        ids = [id for id, _ in pairs]
        count = len(set(batch.ids) - set(ids))
        batch.ids, batch.parts = ids, [part for _, part in pairs]
        return count

    def has_kept_out(self, session_id: str, began_ns: int) -> bool:
        """Return whether a session that began then may have no event, as it was paused."""
        is_paused = self._pauses.of_time(began_ns) is not None
        return is_paused or self._pauses.knows_session(session_id)

    def _is_paused(self, fields: dict[str, Any], created_at: str | None) -> bool:
        instant = clock.from_column(created_at)
        if instant is None:
            return False
        instant_ns = int(instant.timestamp()) * 1_000_000_000 + instant.microsecond * 1_000
        return (
            self._pauses.of_time(instant_ns) is not None
            or self._pauses.of_session(fields.get("session_id"), instant_ns) is not None
            or any(span.holds(instant_ns) and self._is_in(span, fields) for span in self._others)
        )

    def _is_in(self, span: Span, fields: dict[str, Any]) -> bool:
        directory = fields.get("cwd")
        return (
            isinstance(directory, str)
            and directory.startswith("/")
            and "\0" not in directory
            and self._project_of(directory) == span.subject
        )

    def _search(self, directory: str) -> str:
        return spool_writer.search(os.path.realpath(directory), self._state)[0]
