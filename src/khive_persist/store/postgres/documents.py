"""JSON text as `jsonb` takes it: what it refuses is replaced, as the exact text stands beside it.

https://www.postgresql.org/docs/current/datatype-json.html
"""

import re
from typing import Final

from khive_persist.store import codec

# An escape that jsonb has no character for: NUL, or half of a surrogate pair. A backslash before it
# may itself be escaped.
_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE: Final = re.compile(rf"\\\\|{_PAIR}|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{{2}}|\\.")
_REPLACED: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})\Z")
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# A number that SQLite takes for a double, and `numeric` for what its digits say.
_NUMBER: Final = r"-?\d+(?:\.\d+)?[eE][-+]?\d+|-?\d{16,}\.\d+|-?\d+\.\d{300,}"
_DOUBLE: Final = re.compile(f"{_STRING.pattern}|{_NUMBER}", re.DOTALL)
_KINDS: Final = bytes.maketrans(b"123456789E+", b"000000000e-")
_LONG: Final = b"0" * 16
_LONG_WHOLE, _LONG_PART, _LONGEST = _LONG + b".", b"." + b"0" * 300, b"0" * 130_000
_HAS_DOUBLE: Final = re.compile(r"\d[eE][-+]?\d|\d{16}\.\d|\.\d{300}")
# A number that `numeric` may not hold: https://www.postgresql.org/docs/current/datatype-numeric.html
_MOST_DIGITS: Final = re.compile(r"[eE][-+]?0*[1-9]\d{3,}|\d{130000,}")


def document(text: str) -> str:
    """Return the text to query a JSON document by.

    NUL and lone surrogates are U+FFFD. What has a number beyond `numeric` is a text. Of a key that
    comes twice the last counts in a query, where SQLite takes the first.
    """
    if _may_have_double(text):
        # A text may say the same: `1e2` in an id.
        without_texts = _STRING.sub("", text)
        if _MOST_DIGITS.search(without_texts):
            return codec.dump(text)
        if _HAS_DOUBLE.search(without_texts):
            text = _DOUBLE.sub(_as_double, text)
    return _ESCAPE.sub(_known, text) if "\\u" in text else text


def no_document(text: str) -> str:
    """Return the text to query a column by that is no JSON: itself, as a text."""
    return codec.dump(text.replace("\0", "�"))


def _may_have_double(text: str) -> bool:
    # Each of these searches takes a hundredth of what an expression takes.
    kinds = text.encode(errors="replace").translate(_KINDS)
    return (
        b"0e0" in kinds
        or b"0e-" in kinds
        or (_LONG in kinds and (_LONG_WHOLE in kinds or _LONG_PART in kinds or _LONGEST in kinds))
    )


def _as_double(token: re.Match[str]) -> str:
    if token[0].startswith('"'):
        return token[0]
    number = float(token[0])
    if not number.is_integer():
        return token[0]
    # `numeric` keeps the point, by which it is told from a whole number.
    return f"{int(number)}.0"


def _known(escape: re.Match[str]) -> str:
    return "\\ufffd" if _REPLACED.match(escape[0]) else escape[0]
