"""`SqliteFiles`: the place of a class's records in the files of a project."""

from collections.abc import Callable, Mapping
from pathlib import Path

from khive_persist.models.purposes import Purpose
from khive_persist.store.callbacks import SQLITE
from khive_persist.store.change_detector import FileChanges
from khive_persist.store.codec import StoredRow
from khive_persist.store.follow import Fetch, Tail
from khive_persist.store.no_writer import NoWriter
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite import rows as stored
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.store.writer import Writer


class SqliteFiles:
    """The files of a class's purposes, each made at the first write to it."""

    format = SQLITE

    def __init__(
        self,
        paths: Mapping[Purpose, Path],
        busy_timeout_seconds: float,
        mirror_of: Callable[[Purpose], Mirroring] | None,
        *,
        read_only: bool,
    ) -> None:
        """Prepare to open them."""
        self.writers: dict[Purpose, Writer | NoWriter] = {
            purpose: NoWriter(path, purpose)
            if read_only
            else Writer(
                path,
                purpose,
                busy_timeout_seconds,
                mirror_of(purpose) if mirror_of is not None else None,
            )
            for purpose, path in paths.items()
        }
        self.reader = Reader([(path, purpose) for purpose, path in paths.items()])
        self._changes = [FileChanges(path) for path in paths.values()]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(writer.path for writer in self.writers.values())

    async def open(self) -> None:
        """Open a single file; it is made where it is missing, to write to it.

        Raises:
            StoreError: As its subclasses say.
        """
        if len(self.writers) == 1:
            for writer in self.writers.values():
                await writer.open()

    async def is_behind(self) -> bool:
        """Return whether a file's mirror has to begin with the whole table."""
        return any([await writer.is_behind() for writer in self.writers.values()])

    async def close(self) -> None:
        """Finish what was begun, and close the files."""
        # Readers first: what they hold of a write-ahead log could not be written back.
        await self.reader.close()
        for changes in self._changes:
            changes.close()
        for writer in self.writers.values():
            await writer.close()

    def existing_writers(self) -> list[Writer | NoWriter]:
        """Return those whose files are there."""
        return [writer for writer in self.writers.values() if writer.path.exists()]

    def tails(self, fetch: Fetch) -> list[Tail]:
        """Return the ends of the tables."""
        return [Tail(purpose.name, fetch) for purpose in self.writers]

    def changes(self) -> tuple[object, ...]:
        """Return another value after anybody has written to the files; it takes microseconds."""
        return tuple([changes.look() for changes in self._changes])

    async def changes_of_others(self) -> tuple[object, ...]:
        """Return another value after another process has written to the files."""
        return tuple([await writer.changes_of_others() for writer in self.writers.values()])

    def file_of(self, id: str) -> tuple[Writer | NoWriter, StoredRow] | None:
        """Return the writer of the file that has the row with an id, and the row; None for none."""
        for writer in self.existing_writers():
            if rows := stored.read_ids(writer.path, writer.purpose.table, [id]):
                return writer, rows[0]
        return None
