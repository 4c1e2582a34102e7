"""One record as a JSON document, and back to its row."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

from khive_persist.errors import InvalidRecordError
from khive_persist.models.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

DATA_MODEL_VERSION: Final = 1
_JSON_COLUMNS: Final = ("content", "node_metadata", "embedding")


def to_document(purpose: Purpose, row: StoredRow) -> dict[str, Any]:
    """Convert a row to its document.

    `table` stands in it where that has another name than the purpose. The JSON columns stand as
    JSON. Where writing one anew would not give the same text, as with numbers that Python cannot
    hold or a file's own white space, the text stands under `text` too.
    """
    id, content, node_metadata, created_at, embedding = row
    document = _head(purpose, id, created_at)
    texts = {}
    for name, text in zip(_JSON_COLUMNS, (content, node_metadata, embedding), strict=True):
        document[name], is_exact = _value(text)
        if not is_exact:
            texts[name] = text
    if texts:
        document["text"] = texts
    return document


def to_line(purpose: Purpose, row: StoredRow, *, is_exact: bool = False) -> bytes:
    """Convert a row to its line; `is_exact`: its JSON is as `codec.dump` writes it, unread."""
    if not is_exact:
        # It was read from JSON: nothing in it has no spelling there, and to look again takes long.
        return codec.dump_line(to_document(purpose, row))
    id, content, node_metadata, created_at, embedding = row
    return codec.dump_line(
        _head(purpose, id, created_at)
        | {
            "content": None if content is None else codec.Raw(content),
            "node_metadata": None if node_metadata is None else codec.Raw(node_metadata),
            "embedding": None if embedding is None else codec.Raw(embedding),
        }
    )


def to_row(document: Any) -> tuple[str, StoredRow]:
    """Return the purpose and the row of a document.

    Raises:
        InvalidRecordError: It is no document of ours, or one of a newer version.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str):
        raise InvalidRecordError("no document of khive-persist: it has no id")
    version = document.get("dataModelVersion")
    if type(version) is not int or not 1 <= version <= DATA_MODEL_VERSION:
        raise InvalidRecordError(f"dataModelVersion {version!r} is not known")
    purpose = document.get("purpose")
    created_at = document.get("created_at")
    if not isinstance(purpose, str) or not _is_instant(created_at):
        raise InvalidRecordError("purpose or created_at is missing or of the wrong type")
    texts = document.get("text", {})
    if not isinstance(texts, dict) or not texts.keys() <= {*_JSON_COLUMNS}:
        raise InvalidRecordError("text is not that of columns")
    for name, text in texts.items():
        if not isinstance(text, str):
            raise InvalidRecordError(f"{name} is not text")
    for text in (document["id"], purpose, created_at, *texts.values()):
        _check_unicode(text)
    content, node_metadata, embedding = (
        texts[name] if name in texts else _text(document.get(name)) for name in _JSON_COLUMNS
    )
    return purpose, (document["id"], content, node_metadata, created_at, embedding)


def content_of(document: Mapping[str, Any]) -> Any:
    """Return the content of a document, also where only its text could be written."""
    content, texts = document.get("content"), document.get("text")
    if content is None and isinstance(texts, dict):
        return codec.column(texts.get("content"))
    return content


def _head(purpose: Purpose, id: str, created_at: object) -> dict[str, Any]:
    head = {
        "dataModelVersion": DATA_MODEL_VERSION,
        "id": id,
        "purpose": purpose.name,
        "created_at": created_at,
    }
    return head if purpose.table == purpose.name else head | {"table": purpose.table}


def _value(text: str | None) -> tuple[Any, bool]:
    """Return a column's value, and whether its text can be derived from it."""
    if text is None:
        return None, True
    try:
        value = codec.load(text)
        if value is not None and codec.spells(value, text):
            return value, True
        # What the document could not hold stands as its text only.
        codec.dump([value])
    except ValueError:
        return None, False
    return value, False


def _text(value: Any) -> str | None:
    return None if value is None else codec.dump(value)


def _check_unicode(value: Any) -> None:
    # An escaped half of a surrogate pair: no database takes it, and we wrote it in no text.
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRecordError("no UTF-8 text") from error


def _is_instant(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return codec.is_plain(value)
    return value is None or isinstance(value, str)


def digest(row: StoredRow) -> bytes:
    """Return a digest that differs where content, metadata, time or embedding differ."""
    hashed = hashlib.blake2b(digest_size=16)
    for value in row[1:]:
        # A length before each, so that no two rows give the same bytes; NULL is no text.
        part = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
        kind = "null" if value is None else type(value).__name__
        hashed.update(f"{kind} {len(part)} ".encode())
        hashed.update(part)
    return hashed.digest()
