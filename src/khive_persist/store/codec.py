"""JSON text and values, both ways."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from khive_persist import clock
from khive_persist.errors import InvalidRecordError

Row = tuple[str, str | None, str | None, str, str | None]
# As a file has it: an old one spells created_at otherwise, or as a number.
StoredRow = tuple[str, str | None, str | None, str | float | None, str | None]

# SQLite reads at most 1,000 levels of JSON, and orjson 1,024. A payload lies one level deep.
MAX_DEPTH: Final = 990
_MAX_INTEGER_DIGITS: Final = 400


class Raw:
    """JSON text that stands in a larger document as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


def dump(value: Any, *, indent: bool = False) -> str:
    """JSON text, compact unless it is to be indented.

    Raises:
        InvalidRecordError: The value holds something that is no JSON: a number that is not finite
            or needs more than 64 bits, a lone surrogate, an object, too many levels.
    """
    try:
        option = orjson.OPT_INDENT_2 if indent else None
        text = orjson.dumps(value, default=_raw, option=option).decode()
    except (TypeError, RecursionError) as error:
        raise InvalidRecordError(f"not JSON ({error})") from error
    # orjson writes NaN and the infinities as null: a value would be lost in silence.
    if "null" in text and not _finite(value):
        raise InvalidRecordError("not JSON (NaN and infinity have no spelling in it)")
    return text


def dump_lossy(value: Any, *, indent: bool = False) -> str:
    """JSON text of whatever a file held, to be shown.

    What JSON or UTF-8 has no way to write is replaced: NaN by null, lone surrogates by U+FFFD.
    """
    try:
        return orjson.dumps(value, default=_raw, option=orjson.OPT_INDENT_2 * indent).decode()
    except (TypeError, RecursionError):
        text = json.dumps(value, default=str, ensure_ascii=False, indent=2 if indent else None)
        return text.encode("utf-8", "replace").decode()


def dump_exact(value: Any) -> str | None:
    """As `dump_lossy`, where `spells` is true of the text and what it holds; else None."""
    try:
        return orjson.dumps([value])[1:-1].decode()
    except (TypeError, RecursionError):
        return None


def dump_line(value: Any) -> bytes:
    """As `dump_lossy`, in UTF-8 and with the end of a line."""
    try:
        return orjson.dumps(value, default=_raw, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, RecursionError):
        return dump_lossy(value).encode() + b"\n"


def spells(value: Any, text: str) -> bool:
    """Whether this very text is what `dump` gives for a value, in a larger document, too."""
    try:
        # In brackets: one level deeper it may be too deep.
        return orjson.dumps([value]) == b"[%b]" % text.encode("utf-8", "surrogatepass")
    except (TypeError, RecursionError):
        return False


def load(text: str | bytes) -> Any:
    """The value of a JSON document, also of one that orjson alone does not read.

    Numbers beyond its range and lone surrogates are valid JSON that orjson refuses.

    Raises:
        ValueError: It is no JSON; NaN and Infinity are not, nor are more than `MAX_DEPTH` levels.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        try:
            return json.loads(text, parse_constant=_refuse, parse_int=_integer)
        except RecursionError as error:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error


def depth(text: str) -> int:
    """An upper bound of a JSON document's levels; exact where it is over `MAX_DEPTH`."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return MAX_DEPTH
    deepest = level = 0
    quoted = False
    at = 0
    while at < len(text):
        character = text[at]
        if quoted:
            if character == "\\":
                at += 1
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
        at += 1
    return deepest


def is_plain(number: float) -> bool:
    """Whether JSON and 64 bits can hold a number."""
    return math.isfinite(number) and (isinstance(number, float) or -(2**63) <= number < 2**63)


def to_row(record: Any) -> Row:
    """A record as its five columns.

    Raises:
        InvalidRecordError: A column is not JSON, too deep for SQLite to query, or content is a bare
            number.
    """
    if isinstance(record.content, int | float) and not isinstance(record.content, bool):
        # The column's type is numeric to SQLite: it would make 5 of 5.0.
        raise InvalidRecordError("content is a bare number", hint="put it in an object")
    # No value that orjson writes is too deep for SQLite: it stops at 254 levels.
    content = None if record.content is None else dump(record.content)
    own = {"lion_class": record.lion_class()}
    return (
        record.id,
        content,
        dump(own | record.node_metadata if record.node_metadata else own),
        clock.to_text(record.created_at),
        None if record.embedding is None else dump(record.embedding),
    )


def as_text(row: Any) -> StoredRow:
    """A row as SQLite gave it, with every column but `created_at` as text or None.

    JSON that is a number is one in the table too, for its columns are NUMERIC: its text gives the
    same number again. A BLOB has no spelling in JSON and becomes text, byte for byte where it is.
    """
    id, content, node_metadata, created_at, embedding = row
    if isinstance(created_at, float) and math.isinf(created_at):
        created_at = _infinite(created_at)
    elif isinstance(created_at, bytes):
        created_at = _text(created_at)
    return str(_text(id)), _text(content), _text(node_metadata), created_at, _text(embedding)


def from_row(record: type[Any], row: Sequence[Any]) -> Any:
    """A record from its five columns, of any age. A column that is no JSON is given as its text."""
    id, content, metadata, created_at, embedding = row
    return record.from_stored(id, column(content), column(metadata), created_at, column(embedding))


def column(value: Any) -> Any:
    """The value of a JSON column; one that is no JSON as it is."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return load(value)
    except ValueError:
        return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, float) and math.isinf(value):
        return _infinite(value)
    return repr(value)


def _infinite(value: float) -> str:
    # As SQLite's own .dump writes it.
    return "9e999" if value > 0 else "-9e999"


def _raw(value: Any) -> Any:
    if isinstance(value, Raw):
        return orjson.Fragment(value.text)
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return True


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _integer(digits: str) -> int | float:
    # Python refuses to read, and nobody needs as a number, an integer of thousands of digits.
    return (
        int(digits)
        if len(digits) <= _MAX_INTEGER_DIGITS
        else math.copysign(math.inf, -1 if digits.startswith("-") else 1)
    )
