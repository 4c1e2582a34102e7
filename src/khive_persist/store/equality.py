"""Comparison of two rows by what they say."""

import json
from typing import Any

from khive_persist import clock
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow


def is_same(row: StoredRow, other: StoredRow) -> bool:
    """Return whether two rows say the same: JSON by its value, `created_at` by its instant or text.

    NULL and JSON's null are the same: old files have either for an embedding that is not there.
    """
    if row == other:
        return True
    row, other = codec.as_text(row), codec.as_text(other)
    return (
        row[0] == other[0]
        and _instant(row[3]) == _instant(other[3])
        and all(row[at] == other[at] or _value(row[at]) == _value(other[at]) for at in (1, 2, 4))
    )


def _value(text: Any) -> str:
    value = codec.column(text)
    return json.dumps(value, sort_keys=True, default=repr)


def _instant(value: Any) -> Any:
    instant = clock.from_column(value)
    return value if instant is None else instant
