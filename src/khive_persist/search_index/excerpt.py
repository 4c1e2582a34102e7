"""Cut the part of a text that matched, and mark in it what matched."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count, islice
from typing import Final, NamedTuple

from khive_persist.search_index.query import All, AnyOf, Not, Part, Query, Term
from khive_persist.search_index.result import Mark
from khive_persist.search_index.tokens import is_cjk
from khive_persist.search_index.words import folded, is_boundary, pieces, words

EXCERPT_CHARACTERS: Final = 240
# Before the first match stands so much of the text.
_BEFORE_CHARACTERS: Final = 60
# To the beginning of a word it is no more than this.
_WORD_CHARACTERS: Final = 20
# A word may be on every line of a long output: the best place is sought among the first ones.
_MAX_MATCHES: Final = 1_000
# A letter is in many words, and the part of few.
_MAX_TRIED: Final = 5_000
_CUT: Final = "…"
_DIACRITICS: Final = "[\u0300-\u036f]*"
_HAS_DIACRITIC: Final = re.compile("[\u0300-\u036f]")


class Excerpt(NamedTuple):
    """A part of a text, with the matches in it."""

    text: str
    marks: list[Mark]


class _Match(NamedTuple):
    start: int
    end: int
    term: Term


class Marker:
    """Finds the terms of a query in texts."""

    def __init__(self, query: Query) -> None:
        self._part = query.part
        self._terms = list(
            dict.fromkeys(single for term in query.terms() for single in _single(term))
        )

    def is_match(self, text: str) -> bool:
        """Return whether the words of the query are in a text as it asks, whatever its filters."""
        return _is_match(self._part, text, folded(text))

    def excerpt(self, text: str, characters: int = EXCERPT_CHARACTERS) -> Excerpt:
        """Return the part of a text with the most of the terms, the first one of equals.

        What is cut off is an ellipsis. Without any term in it, it is the beginning.
        """
        lowered = folded(text)
        matches = sorted(
            match
            for term in self._terms
            for match in islice(_matches(term, text, lowered), _MAX_MATCHES)
        )
        start = _best_start(matches, characters - _BEFORE_CHARACTERS) - _BEFORE_CHARACTERS
        start = max(0, min(start, len(text) - characters))
        end = min(len(text), start + characters)
        start = _at_word(text, start)
        opening = _CUT if start else ""
        marks = [
            Mark(match.start - start + len(opening), min(match.end, end) - start + len(opening))
            for match in matches
            if start <= match.start < end
        ]
        closing = _CUT if end < len(text) else ""
        return Excerpt(opening + text[start:end] + closing, _apart(marks))


def _is_match(part: Part, text: str, lowered: str) -> bool:
    match part:
        case Term():
            return all(next(_matches(term, text, lowered), None) for term in _single(part))
        case All(parts=parts):
            return all(_is_match(inner, text, lowered) for inner in parts)
        case AnyOf(parts=parts):
            return any(_is_match(inner, text, lowered) for inner in parts)
        case Not(part=Term() | All() | AnyOf() as inner):
            return not _has_words(inner) or not _is_match(inner, text, lowered)
    return True


def _has_words(part: Part) -> bool:
    match part:
        case All(parts=parts) | AnyOf(parts=parts):
            return all(map(_has_words, parts))
    return isinstance(part, Term)


def _single(term: Term) -> list[Term]:
    """Return the term, or its words where they are no phrase to the index."""
    tokens = words(term.text)
    if len(tokens) < 2 or not any(map(is_cjk, term.text)):
        return [term]
    return [*map(Term, tokens[:-1]), Term(tokens[-1], term.is_prefix)]


class _Spelling(NamedTuple):
    """The pattern of a term's letters, with a group for each part of its words.

    Attributes:
        letters: The pattern.
        has_opening: Whether a match begins where a word, or a part of one, does.
        has_closing: Whether it ends where one does.
    """

    letters: re.Pattern[str]
    has_opening: bool
    has_closing: bool


@lru_cache(256)
def _spelling(term: Term, *, has_diacritics: bool) -> _Spelling:
    parts = [piece for token in words(term.text) for piece in pieces(token)]
    optional = _DIACRITICS if has_diacritics else ""
    letters = r"[\W_]*".join(
        "(" + "".join(re.escape(letter) + optional for letter in folded(part)) + ")"
        for part in parts
    )
    has_closing = not (term.is_prefix or is_cjk(parts[-1][-1]))
    return _Spelling(re.compile(letters), not is_cjk(parts[0][0]), has_closing)


@lru_cache(16)
def _whole_words(spelling: _Spelling) -> re.Pattern[str]:
    opening = r"(?<![^\W_])" if spelling.has_opening else ""
    closing = r"(?![^\W_])" if spelling.has_closing else ""
    return re.compile(opening + spelling.letters.pattern + closing)


def _matches(term: Term, text: str, lowered: str) -> Iterator[_Match]:
    """Yield the places of a term, in order: where it is words, or parts of them."""
    has_diacritics = _HAS_DIACRITIC.search(lowered) is not None
    spelling = _spelling(term, has_diacritics=has_diacritics)
    pattern, start = spelling.letters, 0
    for tried in count():
        if tried == _MAX_TRIED:
            pattern = _whole_words(spelling)
        place = pattern.search(lowered, start)
        if place is None:
            return
        if (
            (not spelling.has_opening or is_boundary(text, place.start()))
            and (not spelling.has_closing or is_boundary(text, place.end()))
            and all(is_boundary(text, inner) for inner, _ in place.regs[2:])
        ):
            yield _Match(*place.span(), term)
            start = place.end()
        else:
            start = place.start() + 1


def _best_start(matches: Sequence[_Match], characters: int) -> int:
    """Return where the first match of the best part stands."""
    best, best_start, end = (0, 0), 0, 0
    within: dict[Term, int] = {}
    for index, match in enumerate(matches):
        while end < len(matches) and matches[end].start < match.start + characters:
            term = matches[end].term
            within[term] = within.get(term, 0) + 1
            end += 1
        if (value := (len(within), end - index)) > best:
            best, best_start = value, match.start
        within[match.term] -= 1
        if not within[match.term]:
            del within[match.term]
    return best_start


def _at_word(text: str, start: int) -> int:
    """Return where the word that stands at the beginning of an excerpt begins, if it is near."""
    if not start:
        return 0
    for at in range(start, max(0, start - _WORD_CHARACTERS), -1):
        if text[at - 1].isspace():
            return at
    return start


def _apart(marks: Sequence[Mark]) -> list[Mark]:
    """Join marks that overlap."""
    joined: list[Mark] = []
    for mark in sorted(marks):
        if joined and mark.start < joined[-1].end:
            joined[-1] = Mark(joined[-1].start, max(joined[-1].end, mark.end))
        else:
            joined.append(mark)
    return joined
