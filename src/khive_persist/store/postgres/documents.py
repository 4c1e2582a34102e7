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
# It stands in the place of what is no JSON, and of what jsonb cannot take at all.
_MOST_DIGITS: Final = re.compile(r"[eE][-+]?\d{4,}|\d{130000,}")


def document(text: str | None) -> str | None:
    """Return the text to query a JSON column by; None for none.

    NUL and lone surrogates are U+FFFD. Of a key that comes twice the last counts, as in SQLite's
    `json_extract` the first does: the exact text says both. What is no JSON is a text.
    """
    if text is None:
        return None
    try:
        codec.load(text)
    except ValueError:
        return codec.dump(text.replace("\0", "�"))
    if _MOST_DIGITS.search(text):
        return codec.dump(text)
    return _ESCAPE.sub(_known, text) if "\\u" in text else text


def _known(escape: re.Match[str]) -> str:
    return "\\ufffd" if _REPLACED.match(escape[0]) else escape[0]
