"""The texts of passages as their records have them now: the index could have older ones."""

import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from khive_persist.errors import StoreError
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.search_index.passages import indexed
from khive_persist.search_index.ranking import Candidate
from khive_persist.search_index.search_readers import SearchReaders
from khive_persist.search_index.source import rows_of_ids
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import Connection

_TEXTS: Final = "SELECT number, text FROM passages WHERE number IN (SELECT value FROM json_each(?))"


def current_texts(readers: SearchReaders, candidates: Iterable[Candidate]) -> dict[int, str]:
    """Return the texts of passages by number, from their records as they are now.

    One whose record is gone, has no passage of that kind any more, or cannot be read, is left out.
    """
    project = readers.project
    by_purpose: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_purpose.setdefault(candidate.purpose, []).append(candidate)
    purposes = {purpose.name: purpose for purpose in known_purposes(project)}
    texts: dict[int, str] = {}
    for name, of_purpose in by_purpose.items():
        path = project.database(purposes[name].file) if name in purposes else None
        if path is None or not path.exists():
            continue
        ids = list({candidate.record_id for candidate in of_purpose})
        by_record: dict[tuple[str, str], str] = {}
        # `doctor` names a file that cannot be read; its passages are not shown.
        with suppress(StoreError), readers.records(path) as reader:
            for row in rows_of_ids(reader, purposes[name], ids):
                for passage in indexed(purposes[name], row).passages:
                    by_record[row.id, passage.kind] = passage.text
        for candidate in of_purpose:
            text = by_record.get((candidate.record_id, candidate.kind))
            if text is not None:
                texts[candidate.number] = text
    return texts


def indexed_texts(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return the texts of passages by number, as the index was given them."""
    rows = connection.execute(_TEXTS, (codec.dump(list(numbers)),))
    return {number: zlib.decompress(packed).decode() for number, packed in rows}
