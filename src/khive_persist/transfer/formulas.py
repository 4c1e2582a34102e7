"""Text that a spreadsheet would run as a formula, made harmless and back.

https://owasp.org/www-community/attacks/CSV_Injection
"""

import re
from typing import Final

# White space and marks without a width before the sign do not stop every program; nor do the
# full-width and small forms of the sign. An apostrophe in front is ours, or would be taken for it.
_FORMULA: Final = re.compile(
    "'*(?:[\\t\\r\\n]"
    "|['\\s\\0\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]*"
    "[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a\u207b\u207c])"
)


def neutralise(text: str) -> str:
    """Return the text with an apostrophe before it where it could be run, else the text itself."""
    return f"'{text}" if _FORMULA.match(text) else text


def restore(text: str) -> str:
    """Return the text that was given to `neutralise`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text
