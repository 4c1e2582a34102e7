"""Words of the index that are near those of a query that are in no passage: other spellings.

That is asked only where somebody wants it: it reads a part of the index's vocabulary.
"""

from difflib import SequenceMatcher
from heapq import nlargest
from typing import Final

from khive_persist.search_index.expression import match_of
from khive_persist.search_index.query import Query
from khive_persist.search_index.tokens import is_cjk
from khive_persist.search_index.words import folded, pieces, words
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.statements import scalar

MAX_NEAR: Final = 5
# Of a letter's words so many are compared, those in most passages.
_MAX_COMPARED: Final = 20_000
_LEAST_RATIO: Final = 0.7
_LEAST_CHARACTERS: Final = 3
_MORE_CHARACTERS: Final = 3


def near_words(connection: Connection, query: Query) -> list[str]:
    """Return words that are near those of a query that match nothing, the nearest first.

    A word is near where it begins so, or differs in a few letters; its first letter is the same.
    """
    unmatched = [
        folded(part)
        for term in query.terms()
        if not _has_match(connection, match_of(term) or "")
        for word in words(term.text)
        for part in {word, *pieces(word)}
        if len(part) >= _LEAST_CHARACTERS and not is_cjk(part[0])
    ]
    if not unmatched:
        return []
    connection.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, words, row)"
    )
    # A part of a word that is there is no other spelling of it.
    missing = [word for word in dict.fromkeys(unmatched) if not _is_term(connection, word)]
    ratios: dict[str, float] = {}
    for word in missing:
        for term in _terms_like(connection, word):
            ratios[term] = max(ratios.get(term, 0.0), _ratio(word, term))
    alike = [term for term, ratio in ratios.items() if ratio >= _LEAST_RATIO]
    return nlargest(MAX_NEAR, alike, ratios.__getitem__)


def _has_match(connection: Connection, match: str) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM words WHERE words MATCH ?)"
    return bool(scalar(connection, sql, (match,)))


def _is_term(connection: Connection, word: str) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM temp.vocabulary WHERE term = ?)"
    return bool(scalar(connection, sql, (word,)))


def _terms_like(connection: Connection, word: str) -> list[str]:
    """Return terms with the same first letter, and of about the same length or longer."""
    rows = connection.execute(
        "SELECT term FROM temp.vocabulary WHERE term >= ? AND term < ?"
        f" AND length(term) BETWEEN ? AND ? ORDER BY doc DESC LIMIT {_MAX_COMPARED}",
        (
            word[0],
            word[0] + "\U0010ffff",
            len(word) - _MORE_CHARACTERS,
            2 * len(word) + _MORE_CHARACTERS,
        ),
    )
    return [term for (term,) in rows]


def _ratio(word: str, term: str) -> float:
    """Return how near a term is, from 0 to 1."""
    if term.startswith(word):
        return 0.9
    matcher = SequenceMatcher(None, term, word, autojunk=False)
    if matcher.real_quick_ratio() < _LEAST_RATIO or matcher.quick_ratio() < _LEAST_RATIO:
        return 0.0
    return matcher.ratio()
