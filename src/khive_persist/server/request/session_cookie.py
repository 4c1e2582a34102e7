"""The cookie of a browser after the login: its user and its time, signed by this process.

It holds no token. `/logout` ends a login, a restart of the server all of them, and revoking a token
those of its owner.
"""

import hashlib
import hmac
import os
import time
from typing import Final

from khive_persist.server.http.tokens import Token
from khive_persist.server.request.access import Access

SECONDS: Final = 24 * 3600


def make(access: Access, token: Token) -> str:
    """Return the value of a cookie for the owner of a token."""
    login, until = os.urandom(16).hex(), int(time.time()) + SECONDS
    return f"{token.name}.{until}.{login}.{_seal(access, token, until, login)}"


def find(access: Access, value: str) -> Token | None:
    """Return the token of a cookie; None for one that is not ours, too old, ended or revoked."""
    name, _, remainder = value.partition(".")
    until, _, remainder = remainder.partition(".")
    login, _, seal = remainder.partition(".")
    token = access.tokens.named(name)
    if token is None or not until.isdecimal() or not until.isascii() or len(until) > 12:
        return None
    expected = _seal(access, token, int(until), login)
    if not hmac.compare_digest(expected.encode(), seal.encode("utf-8", "surrogatepass")):
        return None
    return token if int(until) > time.time() and login not in access.ended_logins else None


def end(access: Access, value: str) -> None:
    """End the login that a cookie stands for: it opens nothing on return."""
    if find(access, value) is None:
        return
    current_time = time.time()
    for expired in [login for login, until in access.ended_logins.items() if until <= current_time]:
        del access.ended_logins[expired]
    _, until, login, _ = value.split(".")
    access.ended_logins[login] = int(until)


def _seal(access: Access, token: Token, until: int, login: str) -> str:
    # With the token's digest in it: another token of the same name is another.
    text = f"{token.name}.{until}.{login}.{token.sha256}".encode("utf-8", "surrogatepass")
    return hmac.new(access.secret, text, hashlib.sha256).hexdigest()
