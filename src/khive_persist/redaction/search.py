"""Search for the words of all rules in one pass.

Most texts have none of them. Where one stands, the rule that it belongs to is tried, there and
nowhere else. Only a text where one may match is unescaped as a whole and searched again, for
certain.
"""

from collections.abc import Iterator
from functools import cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from khive_persist.redaction.assignments import AssignmentRule
from khive_persist.redaction.commands import command_rules
from khive_persist.redaction.cookies import CookieRule
from khive_persist.redaction.escapes import HIDING, Unescaped, lower, reveal
from khive_persist.redaction.lists import RowRule
from khive_persist.redaction.patterns import pattern_rules
from khive_persist.redaction.private_keys import PrivateKeyRule
from khive_persist.redaction.rule import Candidate, Hit, Rule
from khive_persist.redaction.token_rules import token_rules

_FASTEST = Implementation.DFA
# What is found is listed: a text of nothing else may not take more memory than a part of it.
_PART_CHARACTERS = 1 << 20


class _Index:
    """The rules, and the words that lead to them.

    Attributes:
        rules: The rules, the most telling first.
        by_word: The indexes in `rules` of those that a word leads to, by the word's number; none at
            the words that hide letters.
    """

    def __init__(self) -> None:
        self.rules: list[Rule] = [
            PrivateKeyRule(),
            *token_rules(),
            *pattern_rules(),
            *command_rules(),
            CookieRule(),
            AssignmentRule(),
            RowRule(),
        ]
        words: dict[str, list[int]] = {word: [] for word in HIDING}
        for place, rule in enumerate(self.rules):
            for word in rule.words:
                words.setdefault(word, []).append(place)
        self.by_word = list(words.values())
        self.trials = [[self.rules[place].may_match for place in places] for places in self.by_word]
        self._longest = max(map(len, words))
        self._automaton = BytesAhoCorasick(
            [word.encode() for word in words], implementation=_FASTEST
        )

    def find(self, low: str) -> Iterator[list[tuple[int, int, int]]]:
        """Yield number, start and end of each word in a text in lower case, part by part."""
        for offset in range(0, len(low), _PART_CHARACTERS):
            part = low[offset : offset + _PART_CHARACTERS + self._longest]
            raw = part.encode("utf-8", "surrogatepass")
            matches = self._automaton.find_matches_as_indexes(raw, overlapping=True)
            if offset == 0 and len(raw) == len(part):
                yield matches
            else:
                yield list(_placed(matches, raw, offset))


@cache
def _index() -> _Index:
    return _Index()


def rules() -> list[Rule]:
    """Return all rules, the most telling first."""
    return _index().rules


def may_match(text: str) -> bool:
    """Return whether there may be a secret in a text, escaped or not: quick where there is none."""
    return _may_match(text, is_revealed=False)


def candidates(text: Unescaped) -> Iterator[Candidate]:
    """Yield the candidates of all rules; of two that begin together, the more telling one first."""
    index = _index()
    hits: dict[int, list[Hit]] = {}
    for matches in index.find(text.low):
        for number, start, end in matches:
            for place in index.by_word[number]:
                hits.setdefault(place, []).append((start, end))
    for place, rule in enumerate(index.rules):
        if place in hits:
            yield from rule.find(text, hits[place])


def _may_match(text: str, *, is_revealed: bool) -> bool:
    index = _index()
    low = lower(text)
    for matches in index.find(low):
        for number, start, end in matches:
            if number < len(HIDING) and not is_revealed:
                return _may_match(reveal(text), is_revealed=True)
            for trial in index.trials[number]:
                if trial(text, low, start, end):
                    return True
    return False


def _placed(
    matches: list[tuple[int, int, int]], raw: bytes, offset: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the matches in the bytes of a part, by characters of the whole text."""
    byte_position, at = 0, offset
    for number, start, end in matches:
        at += len(raw[byte_position:end].decode("utf-8", "surrogatepass"))
        byte_position = end
        yield number, at - (end - start), at
