"""The cookie that a browser has after the login: who it is and until when, sealed by this process.

It holds no token. A restart of the server ends every login, and so does revoking the token.
"""

import hashlib
import hmac
import time
from typing import Final

from khive_persist.server.serving import Serving
from khive_persist.server.tokens import Token

SECONDS: Final = 24 * 3600


def make(serving: Serving, token: Token) -> str:
    """The value of a cookie for the owner of a token."""
    until = int(time.time()) + SECONDS
    return f"{token.name}.{until}.{_seal(serving, token, until)}"


def find(serving: Serving, value: str) -> Token | None:
    """Whose cookie it is; None where it is none of ours, too old, or its token is revoked."""
    name, _, rest = value.partition(".")
    until, _, seal = rest.partition(".")
    token = serving.tokens.named(name)
    if token is None or not until.isdecimal() or not until.isascii() or len(until) > 12:
        return None
    expected = _seal(serving, token, int(until))
    same = hmac.compare_digest(expected.encode(), seal.encode("utf-8", "surrogatepass"))
    return token if same and int(until) > time.time() else None


def _seal(serving: Serving, token: Token, until: int) -> str:
    # With the token's digest in it: another token of the same name is another.
    said = f"{token.name}.{until}.{token.sha256}".encode()
    return hmac.new(serving.secret, said, hashlib.sha256).hexdigest()
