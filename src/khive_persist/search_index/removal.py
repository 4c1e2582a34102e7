"""What goes from the files without an entry in their logs goes from the index, too.

A purge, a prune or a rescan announces each record before it is changed or removed: killed in
between, the index reads it anew. `finish` ends when the index has nothing of what went any more, in
its pages or its log.
"""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from khive_persist import clock
from khive_persist.errors import KhiveError, StoreDamagedError
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.search_index import follow, index_file
from khive_persist.search_index.index import Index
from khive_persist.search_index.index_file import IndexFile
from khive_persist.search_index.search_readers import reading
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.store.staging import staging
from khive_persist.threads import Advance, silent

_logger = logging.getLogger("khive_persist")


class Removal:
    """A removal from the files of a project, which its index follows; see `removing`."""

    def __init__(self, project: Project, settings: Settings, advance: Advance) -> None:
        self._project = project
        self._settings = settings
        self._timeout = settings.store_busy_timeout_seconds
        self._advance = advance
        self._id = clock.new_id()
        self._gate: int | None = None
        # The purposes of records that were announced while there was no index.
        self._unannounced: set[Purpose] = set()
        self._announced: set[Purpose] = set()

    def announce(self, purpose: Purpose, ids: Sequence[str]) -> None:
        """Note records that are about to be changed or removed: synced on return.

        Raises:
            StoreError: The index cannot be written: nothing is to be removed.
        """
        with self._noting([purpose]) as writing:
            if writing is not None:
                writing.add_pending(purpose.name, ids, self._id)

    def announce_session(self, session_id: str, purposes: Iterable[Purpose]) -> None:
        """Note all that the index has of a session; rows of it may have gone before, unlogged.

        Raises:
            StoreError: The index cannot be written: nothing is to be removed.
        """
        with self._noting(purposes) as writing:
            if writing is not None:
                writing.add_session_pending(session_id, self._id)

    def finish(self) -> list[Path]:
        """Take out of the index what went, to its last byte.

        Returns:
            Files that may have something of it still: that of the index where it cannot be written,
            its log where another program keeps that. What was announced is taken out of it by
            whoever searches next, and by the next removal to its last byte.
        """
        path = self._project.search_index
        try:
            if not self._has_index():
                return []
            if not self._settings.search_enabled:
                follow.remove(self._project, self._settings)
                return []
            follow.take_removed(
                self._project, self._settings, self._id, self._announced, self._unannounced
            )
            self.close()
            follow.catch_up(self._project, seconds=math.inf, advance=self._advance, is_made=False)
            with staging(self._project) as folder, IndexFile(self._project) as index:
                is_clean = index.clean(folder, self._timeout, self._advance)
        except StoreDamagedError as error:
            if not follow.is_of_index(self._project, error):
                return [path]
            index_file.remove(self._project, self._timeout)
            return []
        except (KhiveError, OSError) as error:
            _logger.warning("%s may have something of what was removed: %s", path, error)
            return [path]
        return [] if is_clean else [path.with_name(f"{path.name}-wal")]

    @contextmanager
    def _noting(self, purposes: Iterable[Purpose]) -> Iterator[Index | None]:
        """Write to the index what is about to go; None where there is no index."""
        if not self._has_index():
            self._unannounced.update(purposes)
            yield None
            return
        if self._gate is None:
            # Nobody takes what is announced for done while this is held.
            gate = write_lock.gate_path(self._project.search_index)
            self._gate = write_lock.acquire(gate, self._timeout, shared=True)
        try:
            with (
                IndexFile(self._project) as index,
                index.transaction(self._timeout, durable=True) as writing,
            ):
                yield writing
            self._announced.update(purposes)
        except StoreDamagedError:
            index_file.remove(self._project, self._timeout)
            self._unannounced.update(purposes)

    def _has_index(self) -> bool:
        """Return whether there is an index; one that cannot be used is removed."""
        if not index_file.exists(self._project):
            return False
        try:
            with reading(self._project) as connection:
                if connection is not None:
                    return True
        except StoreDamagedError as error:
            if not follow.is_of_index(self._project, error):
                raise
        # It can be made anew, and what is to go must go.
        index_file.remove(self._project, self._timeout)
        return False

    def close(self) -> None:
        """Let others take what was announced for done."""
        gate, self._gate = self._gate, None
        if gate is not None:
            os.close(gate)


@contextmanager
def removing(project: Project, settings: Settings, advance: Advance = silent) -> Iterator[Removal]:
    """Remove records from the files of a project, within a `with`, so that the index follows.

    Args:
        advance: A function of the number of records that were read since its last call.
    """
    removal = Removal(project, settings, advance)
    try:
        yield removal
    finally:
        removal.close()


def settle(project: Project, settings: Settings, advance: Advance = silent) -> list[Path]:
    """Bring the index to what the files have once some were replaced; nothing where there is none.

    Returns:
        As `Removal.finish`.
    """
    with removing(project, settings, advance) as removal:
        return removal.finish()
