"""Rows as Parquet with typed columns, in memory that does not grow with them."""

from collections.abc import Sequence
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.errors import extra
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.columns import ENVELOPE, typed
from khive_persist.transfer.writing import RowWriter, Table, all_columns, values

# A spelling of created_at that the column of instants cannot give back, as JSON.
SPELLING: Final = "created_at_spelling"
GROUP_ROWS: Final = 20_000
GROUP_BYTES: Final = 8 << 20


class ParquetWriter(RowWriter):
    """Writes row groups that are bounded by their rows and by their bytes."""

    def __init__(self, file: IO[bytes], tables: Sequence[Table]) -> None:
        """Begin a file with the columns of all tables.

        Raises:
            MissingExtraError: pyarrow is not here.
        """
        self._arrow, parquet = load_pyarrow()
        self._columns = all_columns(tables)
        self._schema = self._make_schema()
        plain = ["id", "content", "node_metadata", "embedding", SPELLING]
        self._writer = parquet.ParquetWriter(
            file,
            self._schema,
            compression="zstd",
            # A dictionary of texts that are all different only costs memory.
            use_dictionary=[name for name in self._schema.names if name not in plain],
            write_statistics=[name for name in self._schema.names if name not in plain[1:]],
        )
        self._pending: list[list[Any]] = [[] for _ in self._schema.names]
        self._bytes = 0

    def write(self, rows: Sequence[StoredRow]) -> None:
        for row in rows:
            id, content, metadata, created_at, embedding = row
            field_values = values(self._table, self._columns, codec.column(content))
            fields = [typed(v, c.kind) for v, c in zip(field_values, self._columns, strict=True)]
            instant = clock.from_column(created_at)
            exact = instant is not None and clock.to_text(instant) == created_at
            spelling = None if exact or created_at is None else codec.dump(created_at)
            cells = [id, self._table.purpose.name, instant, *fields, content, metadata, embedding]
            for pending, cell in zip(self._pending, [*cells, spelling], strict=True):
                pending.append(cell)
            self._bytes += sum(len(cell) for cell in cells if isinstance(cell, str))
            if self._bytes >= GROUP_BYTES or len(self._pending[0]) >= GROUP_ROWS:
                self._flush()

    def end(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        self._writer.close()

    def _flush(self) -> None:
        if not self._pending[0]:
            return
        arrays = [
            self._arrow.array(pending, type=field.type)
            for pending, field in zip(self._pending, self._schema, strict=True)
        ]
        self._pending = [[] for _ in self._schema.names]
        self._bytes = 0
        batch = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(batch, row_group_size=GROUP_ROWS)
        del arrays, batch
        self._arrow.default_memory_pool().release_unused()

    def _make_schema(self) -> Any:
        arrow = self._arrow
        text, instant = arrow.string(), arrow.timestamp("us", tz="UTC")
        kinds = {
            "string": text,
            "int64": arrow.int64(),
            "double": arrow.float64(),
            "bool": arrow.bool_(),
            "instant": instant,
            "date": arrow.date32(),
        }
        return arrow.schema(
            [
                arrow.field("id", text, nullable=False),
                ("purpose", text),
                ("created_at", instant),
                *((column.name, kinds[column.kind]) for column in self._columns),
                *((name, text) for name in (*ENVELOPE[3:], SPELLING)),
            ]
        )


def load_pyarrow() -> tuple[Any, Any]:
    """Import and return pyarrow and its Parquet module.

    Raises:
        MissingExtraError: It is not here.
    """
    with extra("export", "Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    return pa, pq
