"""After a recorder that was killed: what it had committed, and not yet copied, is copied.

Nobody was told that it is stored, so nobody sends it again; a file in `.khive` says that a recorder
runs, or was killed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from khive_persist.errors import KhiveError
from khive_persist.mirror.mirror import Mirror
from khive_persist.place import Place, write_private
from khive_persist.purposes import Purpose
from khive_persist.register import known_purposes
from khive_persist.server.commits import BATCH_ROWS, BUSY_SECONDS
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.sqlite import statements
from khive_persist.store.sqlite.file_writer import FileWriter

MARK: Final = "server.recording"


@contextmanager
def marked(place: Place, settings: Settings) -> Iterator[None]:
    """Complete the mirror where the last recorder was killed; then say that one runs.

    Raises:
        OSError: The mark cannot be written.
    """
    mark = place.khive / MARK
    if mark.exists():
        # What cannot be looked into is `verify`'s to tell; the events that come must not wait.
        with suppress(KhiveError):
            for purpose in known_purposes(place):
                with suppress(KhiveError):
                    _complete(place, purpose, settings)
    write_private(mark, b"")
    yield
    mark.unlink(missing_ok=True)


def _complete(place: Place, purpose: Purpose, settings: Settings) -> None:
    """Copy the last rows of a file once more, as many as one commit can have."""
    path: Path = place.database(purpose.file)
    mirror = Mirror(place, settings).of(purpose)
    if mirror is None or not path.exists():
        return
    after: list[Callable[[], None]] = []
    with FileWriter(path, purpose, BUSY_SECONDS) as writer, writer.transaction(after) as connection:
        found = connection.execute(statements.last_rows(purpose.table), [BATCH_ROWS])
        rows = [codec.as_text(row) for row in found]
        after.append(partial(mirror.written, purpose, rows, may_be_there=True))
