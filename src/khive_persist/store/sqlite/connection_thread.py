"""`ConnectionThread`: the one thread in which an SQLite connection is used and closed."""

import sqlite3

from khive_persist.store.serial_thread import SerialThread


class ConnectionThread(SerialThread):
    """Owns a connection: what uses it runs in one thread, in order, and so does its closing.

    No connection is closed under a statement that runs. A cancelled `run` interrupts its statement.
    A forked child gets an error: SQLite's locks are those of the process that opened the file.
    """

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The connection, for the functions that run in the thread."""
        resource = self._state.resource
        assert resource is None or isinstance(resource, sqlite3.Connection)
        return resource
