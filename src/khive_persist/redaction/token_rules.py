r"""Tokens that are known by their form: the rows of `tokens` as rules.

A pattern is also tried in text that is still escaped, where `\nghp_…` puts a letter before a token:
`_PAST_ESCAPE`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property

from khive_persist.redaction.escapes import Unescaped, compiled_ascii
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.tokens import (
    ALNUM,
    DISCORD_HEADS,
    INFIXES,
    JWT_TAIL,
    TOKENS,
    Infix,
    Token,
)

_PAST_ESCAPE = r"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
# Heads that many words have in them, searched for with what may stand before a token.
_CROWDED = frozenset({"re_", "nfo_", "pa-", "SK", "pat", "hc", *DISCORD_HEADS.split()})
_OPENINGS = (*" \"'`=:(/,>[|@\n\t", "\\n", "\\t")


class TokenRule:
    """Find the tokens of a row."""

    def __init__(self, token: Token) -> None:
        heads = token.heads.split()
        self._kind = token.kind
        self._is_crowded = not _CROWDED.isdisjoint(heads)
        openings = _OPENINGS if self._is_crowded else ("",)
        self.words = tuple(opening + head.lower() for head in heads for opening in openings)
        bound = f"(?:(?<![{token.forbidden}])|{_PAST_ESCAPE})" if token.forbidden else ""
        self._pattern = f"{bound}(?:{'|'.join(map(re.escape, heads))})(?:{token.tail})"

    @cached_property
    def _match(self) -> Callable[[str, int], re.Match[str] | None]:
        # When it is first needed: all of them would make the start of each program slower.
        return re.compile(self._pattern, re.ASCII).match

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        if self._is_crowded:
            start += 2 if low[start] == "\\" else 1
        return self._match(text, start) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        position = reach = 0
        for start, _ in hits:
            if self._is_crowded:
                start += 2 if text.low[start] == "\\" else 1
            match = self._match(text.flat, start) if start >= position else None
            if match is not None:
                position = match.end()
                yield *text.span(*match.span()), self._kind, ""
                # Those beside what was beside another one are known.
                for first, last, kind in beside(text, position) if position > reach else ():
                    reach = last
                    yield *text.span(first, last), kind, ""


class InfixRule:
    """Find the tokens that have a literal within."""

    def __init__(self, infix: Infix) -> None:
        self.words = tuple(infix.words.split())
        self._kind = infix.kind
        self._length = infix.length
        self._pattern = rf"(?:(?<![{ALNUM}])|{_PAST_ESCAPE}){infix.pattern}"

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        token_start = start - self._length
        return (
            token_start >= 0 and compiled_ascii(self._pattern).match(text, token_start) is not None
        )

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        for start, end in hits:
            if self.may_match(text.flat, text.low, start, end):
                match = compiled_ascii(self._pattern).match(text.flat, start - self._length)
                assert match is not None
                yield *text.span(*match.span()), self._kind, ""


@cache
def _bounded() -> tuple[re.Pattern[str], list[str]]:
    """Return the pattern of the tokens that want a boundary, without it, and their kinds."""
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
