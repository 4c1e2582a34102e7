"""A first look: what every secret has in or before it, all searched for in one pass.

Most texts have none of it. Where it stands, the pattern that it belongs to is tried, there and
nowhere else. Only a text that one matches is unescaped as a whole and searched by all of them.
"""

from collections.abc import Callable, Iterator
from functools import cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from khive_persist.redaction import assignments, private_keys, rules
from khive_persist.redaction.escapes import HIDING, lower, reveal
from khive_persist.redaction.rules import Anchor

_FASTEST = Implementation.DFA
# What is found is listed: a text of nothing else may not take more memory than a part of it.
_PART_CHARACTERS = 1 << 20

# Whether a pattern matches, by the text, the same in lower case, and start and end of the word.
_Trial = Callable[[str, str, int, int], object]


class _Words:
    """Everything that is searched for.

    Attributes:
        trials: What to try at each word, by its number; nothing at those that hide letters.
    """

    def __init__(self) -> None:
        trials: dict[str, list[_Trial]] = {word: [] for word in HIDING}
        for anchor in (*rules.anchors(), *assignments.anchors()):
            trials.setdefault(anchor.word.lower(), []).append(_trial(anchor))
        for word in assignments.OPTION_ENDS:
            trials.setdefault(word, []).append(_try_option)
        trials.setdefault(private_keys.WORD.lower(), []).append(_try_private_key)
        self.trials = list(trials.values())
        self._longest = max(map(len, trials))
        self._automaton = BytesAhoCorasick(
            [word.encode() for word in trials], implementation=_FASTEST
        )

    def find(self, low: str) -> Iterator[list[tuple[int, int, int]]]:
        """Number, start and end of each word in a text in lower case, part by part."""
        for begin in range(0, len(low), _PART_CHARACTERS):
            part = low[begin : begin + _PART_CHARACTERS + self._longest]
            raw = part.encode("utf-8", "surrogatepass")
            found = self._automaton.find_matches_as_indexes(raw, overlapping=True)
            if begin == 0 and len(raw) == len(part):
                yield found
            else:
                yield list(_placed(found, raw, begin))


@cache
def _words() -> _Words:
    return _Words()


def may_match(text: str) -> bool:
    """Whether a pattern matches somewhere in a text, escaped or not: quick where none does."""
    return _may_match(text, is_revealed=False)


def _may_match(text: str, *, is_revealed: bool) -> bool:
    words = _words()
    low = lower(text)
    for found in words.find(low):
        for number, start, end in found:
            if number < len(HIDING) and not is_revealed:
                return _may_match(reveal(text), is_revealed=True)
            for trial in words.trials[number]:
                if trial(text, low, start, end):
                    return True
    return False


def _placed(
    found: list[tuple[int, int, int]], raw: bytes, begin: int
) -> Iterator[tuple[int, int, int]]:
    """What was found in the bytes of a part, by characters of the whole text."""
    done, at = 0, begin
    for number, start, end in found:
        at += len(raw[done:end].decode("utf-8", "surrogatepass"))
        done = end
        yield number, at - (end - start), at


def _trial(anchor: Anchor) -> _Trial:
    match, shift = anchor.pattern.match, anchor.shift
    if anchor.folded:
        return lambda _text, low, start, _end: match(low, start + shift)
    return lambda text, _low, start, _end: match(text, start + shift)


def _try_option(_text: str, low: str, _start: int, end: int) -> object:
    return assignments.option_ends_at(low, end)


def _try_private_key(text: str, _low: str, start: int, end: int) -> object:
    return private_keys.is_marker_at(text, start, end)
