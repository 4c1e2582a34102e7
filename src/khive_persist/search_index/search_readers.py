"""`SearchReaders`: the connections of who searches, and may search again."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import StoreDamagedError
from khive_persist.project import Project
from khive_persist.search_index.index_file import damaged, schema
from khive_persist.store.sqlite import derived_file
from khive_persist.store.sqlite.connection import (
    Connection,
    frozen_version,
    identity,
    open_reader,
)
from khive_persist.store.sqlite.errors import translated

# A search goes three times over what the index has of a word.
_CACHE_KIB: Final = 32 << 10


class _OpenFile(NamedTuple):
    connection: Connection
    version: tuple[Any, ...]


class SearchReaders:
    """The index of a project and the files whose records are shown, open for reading.

    One thread uses it. A file is file when it is first read, and anew where another one has come
    in its place.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._files: dict[Path, _OpenFile] = {}

    @contextmanager
    def index(self) -> Iterator[Connection | None]:
        """Yield the connection to the index; None where there is none of ours.

        Raises:
            StoreError: It cannot be read.
        """
        path = self.project.search_index
        try:
            connection = self._current(path, _open_index)
            if connection is None:
                yield None
                return
            with translated(path):
                yield connection
        except StoreDamagedError as error:
            if str(path) not in str(error):
                raise
            raise damaged(error) from error

    @contextmanager
    def records(self, path: Path) -> Iterator[Connection]:
        """Yield the connection to a file of records, which is there.

        Raises:
            StoreError: It cannot be read.
        """
        connection = self._current(path, open_reader)
        assert connection is not None
        with translated(path):
            yield connection

    def interrupt(self) -> None:
        """End the statement that runs; called from other threads."""
        for file in list(self._files.values()):
            file.connection.interrupt()

    def close(self) -> None:
        """Close the files."""
        while self._files:
            _, file = self._files.popitem()
            file.connection.close()

    def _current(self, path: Path, open: Callable[[Path], Connection | None]) -> Connection | None:
        version = (identity(path), frozen_version(path))
        file = self._files.get(path)
        if file is not None and file.version == version:
            return file.connection
        if file is not None:
            del self._files[path]
            file.connection.close()
        connection = open(path)
        if connection is not None:
            self._files[path] = _OpenFile(connection, version)
        return connection


@contextmanager
def reading(project: Project) -> Iterator[Connection | None]:
    """Open the index for reading; None where there is none of ours."""
    with closing(SearchReaders(project)) as readers, readers.index() as connection:
        yield connection


def _open_index(path: Path) -> Connection | None:
    connection = derived_file.open_reader_if_ours(path, schema())
    if connection is not None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # What is in it was checked when it was put there.
        connection.text_factory = str
    return connection
