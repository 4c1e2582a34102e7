r"""Tokens that are known by their form: the rows of `tokens` as rules.

A pattern is also tried in text that is still escaped, where `\nghp_…` puts a letter before a token:
`_PAST_ESCAPE`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from khive_persist.redaction.escapes import Unescaped
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.tokens import ALNUM, INFIXES, JWT_TAIL, TOKENS, Infix, Token

_PAST_ESCAPE = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
# Heads that many names end with, searched for with what may stand before a token.
_CROWDED = frozenset({"re_", "nfo_", "pa-", "SK"})
_OPENINGS = (*" \"'`=:(/,>[|@\n\t", "\\n", "\\t")
# What follows the first dot: of a Discord bot's token, of an Airtable token.
_DOTTED = r"\.(?:[\w-]{6}\.[\w-]{27}|[0-9a-f]{40})"


class TokenRule:
    """Finds the tokens of a row."""

    def __init__(self, token: Token) -> None:
        heads = token.heads.split()
        self._kind = token.kind
        self._shifts: dict[str, int] = {}
        for head in heads:
            for opening in _OPENINGS if head in _CROWDED else ("",):
                self._shifts[opening + head.lower()] = len(opening)
        self.words = tuple(self._shifts)
        self._is_crowded = any(self._shifts.values())
        bound = f"(?:(?<![{token.forbidden}])|{_PAST_ESCAPE})" if token.forbidden else ""
        self._pattern = f"{bound}(?:{'|'.join(map(re.escape, heads))})(?:{token.tail})"

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        if self._is_crowded:
            start += self._shifts[low[start:end]]
        return _ascii(self._pattern).match(text, start) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        done = reach = 0
        for start, end in hits:
            if self._is_crowded:
                start += self._shifts[text.low[start:end]]
            match = _ascii(self._pattern).match(text.flat, start) if start >= done else None
            if match is not None:
                done = match.end()
                yield *text.span(*match.span()), self._kind, ""
                # Those beside what was beside another one are known.
                for first, last, kind in beside(text, done) if done > reach else ():
                    reach = last
                    yield *text.span(first, last), kind, ""


class InfixRule:
    """Finds the tokens that have a literal within."""

    def __init__(self, infix: Infix) -> None:
        self.words = tuple(infix.words.split())
        self._kind = infix.kind
        self._length = infix.length
        self._pattern = rf"(?:(?<![{ALNUM}])|{_PAST_ESCAPE}){infix.pattern}"

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        begin = start - self._length
        return begin >= 0 and _ascii(self._pattern).match(text, begin) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        for start, end in hits:
            if self.may_match(text.flat, text.low, start, end):
                match = _ascii(self._pattern).match(text.flat, start - self._length)
                assert match is not None
                yield *text.span(*match.span()), self._kind, ""


class DottedRule:
    """Finds tokens that no word tells: long parts with dots between.

    https://docs.discord.com/developers/reference#authentication
    https://airtable.com/developers/web/api/authentication
    """

    words = ()
    _FORMS = (
        ("discord_bot_token", r"[MNO][\w-]{22,26}\Z", r"\.[\w-]{6}\.[\w-]{27,}"),
        ("airtable_token", r"pat[A-Za-z0-9]{14}\Z", r"\.[0-9a-f]{40,}"),
    )

    def stands_in(self, text: str) -> bool:
        """Tell whether one may stand in text that may be escaped."""
        return _ascii(_DOTTED).search(text) is not None

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        return True

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        flat = text.flat
        for match in _ascii(_DOTTED).finditer(flat):
            at = match.start()
            for kind, before, after in self._FORMS:
                head = _ascii(rf"(?<![{ALNUM}]){before}").search(flat, max(0, at - 28), at)
                tail = head and _ascii(after).match(flat, at)
                if head and tail:
                    yield *text.span(head.start(), tail.end()), kind, ""


@cache
def _bounded() -> tuple[re.Pattern[str], list[str]]:
    """The tokens that want a boundary before them, without it; and their kinds."""
    rows = [token for token in TOKENS if token.forbidden]
    patterns = [f"(?:{'|'.join(map(re.escape, t.heads.split()))})(?:{t.tail})" for t in rows]
    alternatives = "|".join(f"({pattern})" for pattern in (*patterns, f"eyJ{JWT_TAIL}"))
    return re.compile(alternatives, re.ASCII), [*(token.kind for token in rows), "jwt"]


def beside(text: Unescaped, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield start and end in `text.flat`, and kind, of tokens that begin where a secret ends.

    When that is replaced, there is a boundary before them.
    """
    pattern, kinds = _bounded()
    while match := pattern.match(text.flat, end):
        end = match.end()
        yield *match.span(), kinds[(match.lastindex or 0) - 1]


def token_rules() -> list[TokenRule | InfixRule]:
    """Make the rules of all rows."""
    return [*map(TokenRule, TOKENS), *map(InfixRule, INFIXES)]


@cache
def _ascii(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)
