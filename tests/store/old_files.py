"""Databases as the original wrote them: five columns, no index, a rollback journal."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

CREATE = """CREATE TABLE {table} (
\tid VARCHAR NOT NULL,
\tcontent JSON,
\tnode_metadata JSON,
\tcreated_at DATETIME,
\tembedding JSON,
\tPRIMARY KEY (id)
)"""


class OldRow(NamedTuple):
    """A row as it is bound, and the minute of the hour (12:00 to 12:59 UTC) that it means."""

    id: str
    content: str | None
    created_at: object
    minute: int | None
    node_metadata: str | None = '{"lion_class": "khive.models.PlannerSession"}'
    embedding: str | None = "null"


# 2026-11-01 12:00:00 UTC in seconds of the Unix epoch.
NOON_EPOCH = 1_793_534_400

ROWS = (
    OldRow("naive", '{"session_id": "s1", "task_description": "a", "complexity": "complex",'
           ' "confidence": 0.9, "unknown": {"kept": [1, 2]}}', "2026-11-01 12:10:00.123456", 10),
    OldRow("t", '{"session_id": "s1", "task_description": "b", "complexity": "simple"}',
           "2026-11-01T12:05:00", 5),
    OldRow("offset", '{"session_id": "s2", "task_description": "c", "complexity": "complex"}',
           "2026-11-01T14:20:00+02:00", 20),
    OldRow("behind", '{"session_id": "s2", "task_description": "d"}',
           "2026-11-01 04:30:00.5-08:00", 30),
    OldRow("epoch", '{"session_id": "s3", "task_description": "e", "confidence": 0.2}',
           NOON_EPOCH + 15 * 60 + 0.25, 15),
    OldRow("epoch text", '{"session_id": "s3", "task_description": "f"}',
           str(NOON_EPOCH + 25 * 60), 25),
    OldRow("zulu", '{"session_id": "s4", "task_description": "g"}', "2026-11-01T12:40:00Z", 40),
    OldRow("undated", '{"session_id": "s4", "task_description": "h"}', None, None, None, None),
    OldRow("misdated", '{"session_id": "s4", "task_description": "i"}', "yesterday", None),
    OldRow("empty", None, "2026-11-01 12:45:00.000000", 45, None, "[0.5, 1]"),
)  # fmt: skip
MALFORMED = OldRow(
    "nan", '{"session_id": "s5", "confidence": NaN}', "2026-11-01 12:50:00.000000", 50
)


def make(path: Path, rows: Sequence[OldRow] = ROWS, table: str = "planner_sessions") -> None:
    """Write a file as the original did."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(CREATE.format(table=table))
        connection.executemany(
            f"INSERT INTO {table} (id, content, created_at, node_metadata, embedding)"
            " VALUES (?, ?, ?, ?, ?)",
            [(r.id, r.content, r.created_at, r.node_metadata, r.embedding) for r in rows],
        )


def stored(path: Path, table: str = "planner_sessions") -> dict[str, tuple[Any, ...]]:
    """Every column of every row with its type, by id: what must not change."""
    names = ("id", "content", "node_metadata", "created_at", "embedding")
    columns = ", ".join(f"typeof({name}), CAST({name} AS BLOB)" for name in names)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(f"SELECT id, {columns} FROM {table}").fetchall()
    return {id: rest for id, *rest in found}


def digest(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder but the locks and the WAL's index, which hold nothing.

    An empty WAL counts as none: who reads a file in WAL mode leaves one.
    """
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
        and not path.name.endswith((".lock", "-shm"))
        and (path.stat().st_size or not path.name.endswith("-wal"))
    }
