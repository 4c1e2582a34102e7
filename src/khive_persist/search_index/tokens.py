"""Sub-tokens: what a person looks for within a word of the index.

The index has the words as SQLite's unicode61 cuts them: at everything that is no letter or digit,
so that snake_case and paths are in pieces already. Of the others it gets the parts beside them: of
camelCase, of letters and digits in one word, and the pairs of characters that follow each other in
a run of Chinese, Japanese or Korean, which has no spaces between its words.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

# Between the parts of two words: no phrase of parts goes beyond a word. A letter to SQLite.
SEPARATOR: Final = "ǀ"
# A longer run of letters and digits is data, and no word.
MOST_WORD_CHARACTERS: Final = 256

# In base64 they are as short; in names so many of them are not.
_MOST_SHORT_PARTS: Final = 8
_MOST_KNOWN_WORDS: Final = 8_192

_CJK: Final = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b"  # marks and numerals among the letters
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3"
    "\U00020000-\U000323af"
)
_IS_CJK: Final = re.compile(f"[{_CJK}]")
_WORD: Final = re.compile(r"[^\W_]+")
_FOREIGN_LETTER: Final = re.compile(r"[^\W\x00-\x7f]")
# Over the classes of a text's characters: a part ends here, and another begins.
_ENDS_OF_PARTS: Final = (b"lu", b"ld", b"dl", b"du", b"ud", b"uul")
_HASH: Final = re.compile("[0-9a-f]{7,}|[0-9A-F]{7,}")
# Over the classes of a word's characters: u(pper), l(ower), d(igit), c(jk).
_PART: Final = re.compile("u+(?!l)|u?l+|d+|c+")


def sub_tokens(text: str) -> str:
    """Return the sub-tokens of a text for the column `parts`; an empty string where it has none."""
    is_foreign = not text.isascii() and _FOREIGN_LETTER.search(text)
    # Each word once: where in the text its parts are is in the other column.
    words = dict.fromkeys(_WORD.findall(text) if is_foreign else _mixed_words(text))
    return f" {SEPARATOR} ".join(" ".join(parts) for word in words if (parts := parts_of(word)))


def _mixed_words(text: str) -> Iterator[str]:
    """Return the words in which a part ends, of a text whose letters are all of ASCII."""
    # Most texts have few: what looks for them does not take them apart.
    classes = text.encode("ascii", "replace").translate(_CLASSES)
    spans = {}
    for end_of_part in _ENDS_OF_PARTS:
        at = classes.find(end_of_part)
        while at >= 0:
            start, end = classes.rfind(b" ", 0, at) + 1, classes.find(b" ", at)
            spans[start] = len(text) if end < 0 else end
            at = -1 if end < 0 else classes.find(end_of_part, end)
    return (text[start:end] for start, end in spans.items())


def parts_of(word: str) -> Sequence[str]:
    """Return the parts of a word, in order; none where it is one part, or data such as a hash.

    Args:
        word: Letters and digits. A run of Chinese, Japanese or Korean gives its pairs of
            characters, one of a single character that.
    """
    # Names come again and again.
    return _known_parts(word) if len(word) <= MOST_WORD_CHARACTERS else _parts(word)


def is_cjk(character: str) -> bool:
    """Return whether a character is of a script whose words have no spaces between them."""
    return _IS_CJK.match(character) is not None


def _parts(word: str) -> Sequence[str]:
    classes = _classes(word)
    has_cjk = "c" in classes
    if not has_cjk and (len(word) > MOST_WORD_CHARACTERS or _HASH.fullmatch(word)):
        return ()
    parts: list[str] = []
    for match in _PART.finditer(classes):
        part = word[match.start() : match.end()]
        if match[0][0] == "c" and len(part) > 1:
            parts += (part[at : at + 2] for at in range(len(part) - 1))
        else:
            parts.append(part)
    if has_cjk:
        return parts
    is_data = len(parts) > _MOST_SHORT_PARTS and len(word) < 3 * len(parts)
    return () if len(parts) == 1 or is_data else parts


_known_parts: Final = lru_cache(_MOST_KNOWN_WORDS)(_parts)


def _classes(word: str) -> str:
    return word.translate(_ASCII_CLASSES) if word.isascii() else "".join(map(_class, word))


def _class(character: str) -> str:
    if _IS_CJK.match(character):
        return "c"
    if character.isdigit():
        return "d"
    return "u" if character.isupper() else "l"


_ASCII_CLASSES: Final = {code: _class(chr(code)) for code in range(128)}
_CLASSES: Final = bytes(
    ord(_class(chr(code)) if chr(code).isascii() and chr(code).isalnum() else " ")
    for code in range(256)
)
