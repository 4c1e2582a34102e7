"""Find values of cookies, in headers and options: `Cookie: session=…; theme=dark`.

https://datatracker.ietf.org/doc/html/rfc6265
"""

from collections.abc import Iterator, Sequence

from khive_persist.redaction.escapes import MARK, Unescaped, compiled
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.values import is_cookie

_KIND = "cookie"
_HEADER = r"s?[\\\"'`\])]{0,10}(?:[ \t]|\\++t){0,8}[:=,]?(?:[ \t]|\\++t){0,8}[\\\"'`]{0,8}"
_PAIR = r"[\w.!#$%&*+^~-]{1,64}=([^\s;,\"'`\\<>]{8,2048})"
_NEXT = r"[^\s\"'`\\<>]{0,256};[ \t]{0,4}"
_MAX_PAIRS = 64


class CookieRule:
    """Find the values of cookies that are too random to be a setting."""

    words = ("cookie", " -b ", '"-b"')

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        return any(True for _ in self._values(text, end))

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        for _, end in hits:
            for start, stop in self._values(text.flat, end):
                yield *text.span(start, stop), _KIND, ""

    def _values(self, text: str, at: int) -> Iterator[tuple[int, int]]:
        header = compiled(_HEADER).match(text, at)
        assert header is not None
        at = header.end()
        for _ in range(_MAX_PAIRS):
            pair = compiled(_PAIR).match(text, at)
            if pair is not None:
                if is_cookie(pair[1]) and not text.startswith(MARK, pair.end()):
                    yield pair.span(1)
                at = pair.end()
            following = compiled(_NEXT).match(text, at)
            if following is None:
                return
            at = following.end()
