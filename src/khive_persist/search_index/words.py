"""Split a text into words as the index does: tokens of `unicode61`, and the parts of each.

The index does the first by itself, in C; here it is for queries, and for the marks of excerpts.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final

from khive_persist.search_index.tokens import is_cjk

_MARKS: Final = "\u0300-\u036f"
_TOKEN: Final = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")


def words(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits."""
    return _TOKEN.findall(text)


def pieces(word: str) -> list[str]:
    """Return the parts of a word: `parse`, `HTTP`, `Response`, `2` of `parseHTTPResponse2`."""
    cuts = [0, *(at for at in range(1, len(word)) if is_boundary(word, at)), len(word)]
    return [word[start:end] for start, end in pairwise(cuts)]


def is_boundary(text: str, at: int) -> bool:
    """Return whether a word, or a part of one, begins or ends before this character."""
    if at <= 0 or at >= len(text):
        return True
    ending, opening = text[at - 1], text[at]
    if not ending.isalnum() or not opening.isalnum():
        return not unicodedata.combining(opening)
    if ending.isascii() and opening.isascii():
        if ending.isdigit() or opening.isdigit():
            return ending.isdigit() != opening.isdigit()
        if opening.islower():
            return False
        return ending.islower() or text[at + 1 : at + 2].islower()
    if is_cjk(ending) or is_cjk(opening):
        return is_cjk(ending) != is_cjk(opening)
    if ending.isdigit() != opening.isdigit():
        return True
    if not opening.isupper():
        return False
    return ending.islower() or text[at + 1 : at + 2].islower()


def folded(text: str) -> str:
    """Return a text of the same length in which letters differ in neither case nor diacritics."""
    if text.isascii():
        return text.lower()
    return text.translate({ord(character): _fold(character) for character in set(text)})


@lru_cache(maxsize=10_000)
def _fold(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character.lower())
    return decomposed[0] if all(map(unicodedata.combining, decomposed[1:])) else character
