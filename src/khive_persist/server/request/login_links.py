"""Links that log a browser in, once and soon: a token must not stand in a URL.

A link holds a code of its own, of which only the digest is kept, in this process. It is good for
one minute and one visit; a token that is revoked meanwhile opens nothing.
"""

import hashlib
import secrets
import time
from typing import Final, NamedTuple

from khive_persist.server.http.tokens import Token, Tokens

SECONDS: Final = 60
_MOST: Final = 100


class _Link(NamedTuple):
    token: Token
    until: float


class LoginLinks:
    """The links of one server that were not followed yet."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._links: dict[str, _Link] = {}

    def create(self, token: Token) -> str:
        """Return the code of a new link for the owner of a token."""
        self._forget_expired()
        while len(self._links) >= _MOST:
            del self._links[next(iter(self._links))]
        code = secrets.token_urlsafe(32)
        self._links[_digest(code)] = _Link(token, time.monotonic() + SECONDS)
        return code

    def take(self, code: str) -> Token | None:
        """Return the token of a link, which is used up; None for one that is not known any more."""
        self._forget_expired()
        link = self._links.pop(_digest(code), None)
        token = None if link is None else self._tokens.named(link.token.name)
        return token if link is not None and token == link.token else None

    def _forget_expired(self) -> None:
        instant = time.monotonic()
        for digest in [digest for digest, link in self._links.items() if link.until <= instant]:
            del self._links[digest]


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
