"""Telling a file's change log how far a consumer of it is that keeps its position elsewhere."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite.change_log import BEHIND
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.sync_writer import FileWriter


class LogPosition(NamedTuple):
    """A place in a file's change log: the file's epoch, and the number of an entry."""

    epoch: str
    seq: int


def register(path: Path, purpose: Purpose, consumer: str, timeout_seconds: float) -> LogPosition:
    """Let a file's log keep for a consumer what comes from now on; return where that begins."""
    # Its opening notes what others have inserted.
    with (
        FileWriter(path, purpose, timeout_seconds, None) as writer,
        writer.transaction() as writing,
    ):
        epoch = change_log.state(writing.connection).epoch
        seq = change_log.last(writing.connection)
        change_log.set_position(writing.connection, consumer, seq)
    return LogPosition(epoch, seq)


def tell(
    path: Path, purpose: Purpose, consumer: str, position: LogPosition, timeout_seconds: float
) -> None:
    """Let a file's log drop what a consumer has; nothing where it has to begin anew."""
    with FileWriter(path, purpose, timeout_seconds, None) as writer:
        writer.open()
        # Lost with the power, it is told again.
        writer.connection.execute("PRAGMA synchronous = NORMAL")
        with writer.transaction() as writing:
            acknowledged = change_log.positions(writing.connection).get(consumer, BEHIND)
            is_same = change_log.state(writing.connection).epoch == position.epoch
            if is_same and BEHIND < acknowledged < position.seq:
                change_log.set_position(writing.connection, consumer, position.seq)


def drop(path: Path, purpose: Purpose, consumer: str, timeout_seconds: float) -> None:
    """Let a file's log keep nothing for a consumer any more."""
    if not is_registered(path, consumer):
        return
    with (
        FileWriter(path, purpose, timeout_seconds, None) as writer,
        writer.transaction() as writing,
    ):
        change_log.drop_consumer(writing.connection, consumer)


def is_registered(path: Path, consumer: str) -> bool:
    """Return whether a file's log knows a consumer."""
    with closing(open_reader(path)) as reader, translated(path):
        return change_log.is_there(reader) and consumer in change_log.positions(reader)
