"""Embed the passages of the index, in the order of their arrival, in steps of bounded time.

No lock of the index is held while a source is asked, and one process of a project asks at a time.
"""

import os
import time
import zlib
from typing import Final

from khive_persist.project import Project
from khive_persist.search_index import index_file
from khive_persist.search_index.index_file import IndexFile
from khive_persist.search_index.result import MOST_WAITING, VectorsState
from khive_persist.search_index.search_readers import reading
from khive_persist.search_index.semantic.source import (
    BATCH,
    MOST_CHARACTERS,
    Source,
    VectorsUnavailableError,
    source_of,
)
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.statements import scalar
from khive_persist.threads import Advance, silent

LOCK: Final = "search_vectors.lock"
_BATCH_SECONDS: Final = 60.0
# A file's text in an answer, and its path, say little of what was meant; and they are most of all.
_HAVE_NONE: Final = "('output', 'path')"
_EMBEDDED: Final = f"FROM passages WHERE kind NOT IN {_HAVE_NONE}"
_WITHOUT: Final = f"{_EMBEDDED} AND number > (SELECT coalesce(max(passage), 0) FROM vectors)"


def embed_new(
    project: Project, settings: Settings, seconds: float, advance: Advance = silent
) -> VectorsState | None:
    """Make the next vectors of the source that settings name, as `embed_passages` does.

    Returns:
        How far they are; None where search by meaning is off.

    Raises:
        InvalidSettingsError: The source is not set as it has to be.
        MissingExtraError: The extra `semantic` is not installed.
        StoreError: The index cannot be read or written.
    """
    source = source_of(settings)
    if source is None:
        return None
    timeout = settings.store_busy_timeout_seconds
    return embed_passages(project, source, seconds, timeout, advance)


def embed_passages(
    project: Project,
    source: Source,
    seconds: float,
    timeout_seconds: float,
    advance: Advance = silent,
) -> VectorsState:
    """Make the next vectors for so many seconds; a batch that is committed stays.

    Vectors of another model are taken out first. Where another process is at it, nothing is done.

    Args:
        project: The project; without an index nothing is done.
        source: The source of vectors.
        seconds: The longest time for all batches.
        timeout_seconds: The longest wait for others who write to the index.
        advance: A function of the number of passages that were embedded since its last call.

    Raises:
        StoreError: The index cannot be read or written.
    """
    if not index_file.exists(project):
        return VectorsState(0)
    problem = ""
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    if descriptor is not None:
        try:
            _embed(project, source, time.monotonic() + seconds, timeout_seconds, advance)
        except VectorsUnavailableError as error:
            problem = str(error)
        finally:
            os.close(descriptor)
    return VectorsState(count_waiting(project, source), problem)


def count_waiting(project: Project, source: Source) -> int:
    """Return the number of passages that have no vector of a source, 100,000 for more.

    Raises:
        StoreError: The index cannot be read.
    """
    with reading(project) as connection:
        if connection is None:
            return 0
        without = _WITHOUT if _is_of(source, _newest_model(connection)) else _EMBEDDED
        sql = f"SELECT count(*) FROM (SELECT 1 {without} LIMIT {MOST_WAITING})"
        return int(scalar(connection, sql))


def _embed(
    project: Project, source: Source, end: float, timeout_seconds: float, advance: Advance
) -> None:
    with IndexFile(project) as file:
        while (remaining := end - time.monotonic()) > 0:
            with reading(project) as connection:
                if connection is None:
                    return
                model = _newest_model(connection)
                sql = f"SELECT number, text {_WITHOUT} ORDER BY number LIMIT {BATCH}"
                passages = connection.execute(sql).fetchall()
            is_other = not _is_of(source, model)
            if not is_other and not passages:
                return
            if not is_other:
                # Not before: numpy is for who has vectors made.
                from khive_persist.search_index.semantic import vectors

                rows = source.embed(
                    [_text(text) for _, text in passages], min(remaining, _BATCH_SECONDS)
                )
                name = vectors.model_of(source.model, rows)
                is_other = model not in ("", name)
            with file.transaction(timeout_seconds) as index:
                if is_other:
                    index.drop_vectors()
                    continue
                entries = zip(passages, vectors.packed(rows), strict=True)
                index.put_vectors(name, [(*passage, vector) for passage, vector in entries])
            advance(len(passages))


def _newest_model(connection: Connection) -> str:
    sql = "SELECT model FROM vectors ORDER BY passage DESC LIMIT 1"
    return next((str(model) for (model,) in connection.execute(sql)), "")


def _is_of(source: Source, model: str) -> bool:
    """Return whether a source makes vectors of a model's name, which ends with their size."""
    return model in ("", f"{source.model} {model.rpartition(' ')[2]}")


def _text(packed: bytes) -> str:
    """Return the beginning of a passage; of the longest no more is unpacked."""
    raw = zlib.decompressobj().decompress(packed, 4 * MOST_CHARACTERS)
    return raw.decode("utf-8", "ignore")[:MOST_CHARACTERS]
