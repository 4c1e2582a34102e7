"""Parquet as `writing/parquet.py` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from khive_persist import clock
from khive_persist.errors import InvalidFileError
from khive_persist.store import codec
from khive_persist.transfer.columns import ENVELOPE, Kind
from khive_persist.transfer.row_validation import JSON_COLUMNS, SourceEntry
from khive_persist.transfer.writing.parquet import SPELLING, load_pyarrow

MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 256


def read_parquet(path: Path) -> Iterator[SourceEntry]:
    """Yield the rows of a Parquet file.

    Raises:
        InvalidFileError: It is damaged, or was not exported by khive-persist.
        MissingExtraError: pyarrow is not here.
    """
    arrow, parquet = load_pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            required = [*ENVELOPE, SPELLING]
            if not set(required) <= set(file.schema_arrow.names):
                raise InvalidFileError(f"{path} was not exported by khive-persist")
            kinds = {
                field.name: _kind(arrow, field.type)
                for field in file.schema_arrow
                if field.name not in required
            }
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    fields = {name: (kind, values.pop(name)) for name, kind in kinds.items()}
                    yield _entry(f"row {number}", values, fields)
    except arrow.ArrowException as error:
        raise InvalidFileError(f"{path} is damaged ({error})") from error


def _kind(arrow: Any, type: Any) -> Kind:
    tests: dict[Kind, Any] = {
        "bool": arrow.types.is_boolean,
        "int64": arrow.types.is_integer,
        "double": arrow.types.is_floating,
        "instant": arrow.types.is_timestamp,
        "date": arrow.types.is_date,
    }
    return next((kind for kind, is_one in tests.items() if is_one(type)), "string")


def _entry(
    location: str, values: dict[str, Any], fields: dict[str, tuple[Kind, Any]]
) -> SourceEntry:
    instant, spelling = values["created_at"], values[SPELLING]
    raw = {**values, "created_at": None if instant is None else clock.to_text(instant)}
    try:
        created_at = codec.load(spelling) if spelling is not None else raw["created_at"]
    except ValueError:
        return SourceEntry(location, raw, reason=f"{SPELLING} is no JSON")
    id, content, metadata, embedding = (values[name] for name in ("id", *JSON_COLUMNS))
    row = (id, content, metadata, created_at, embedding)
    return SourceEntry(location, raw, row, purpose=values["purpose"], values=fields)
