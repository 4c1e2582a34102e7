"""`RecordPaths`: the files that have a record."""

from pathlib import Path
from typing import NamedTuple


class RecordPaths(NamedTuple):
    """The files that have one record.

    Attributes:
        database: The SQLite file.
        mirror: The JSON document in `sessions/`, or the stream that has its line; None where the
            store keeps no mirror of it.
    """

    database: Path
    mirror: Path | None
