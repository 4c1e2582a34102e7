"""The cookie that a browser has after the login: who it is and until when, sealed by this process.

It holds no token. `/logout` ends a login, a restart of the server all of them, and revoking a token
those of its owner.
"""

import hashlib
import hmac
import os
import time
from typing import Final

from khive_persist.server.context import Serving
from khive_persist.server.http.tokens import Token

SECONDS: Final = 24 * 3600


def make(serving: Serving, token: Token) -> str:
    """The value of a cookie for the owner of a token."""
    login, until = os.urandom(16).hex(), int(time.time()) + SECONDS
    return f"{token.name}.{until}.{login}.{_seal(serving, token, until, login)}"


def find(serving: Serving, value: str) -> Token | None:
    """Whose cookie it is; None where it is none of ours, too old, ended, or its token revoked."""
    name, _, rest = value.partition(".")
    until, _, rest = rest.partition(".")
    login, _, seal = rest.partition(".")
    token = serving.tokens.named(name)
    if token is None or not until.isdecimal() or not until.isascii() or len(until) > 12:
        return None
    expected = _seal(serving, token, int(until), login)
    if not hmac.compare_digest(expected.encode(), seal.encode("utf-8", "surrogatepass")):
        return None
    return token if int(until) > time.time() and login not in serving.ended_logins else None


def end(serving: Serving, value: str) -> None:
    """End the login that a cookie stands for: it opens nothing on return."""
    if find(serving, value) is None:
        return
    now = time.time()
    for ended in [login for login, until in serving.ended_logins.items() if until <= now]:
        del serving.ended_logins[ended]
    _, until, login, _ = value.split(".")
    serving.ended_logins[login] = int(until)


def _seal(serving: Serving, token: Token, until: int, login: str) -> str:
    # With the token's digest in it: another token of the same name is another.
    said = f"{token.name}.{until}.{login}.{token.sha256}".encode("utf-8", "surrogatepass")
    return hmac.new(serving.secret, said, hashlib.sha256).hexdigest()
