"""The head of a request, and what it may be."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from khive_persist.server.http.errors import CLOSE, HTTPError
from khive_persist.server.http.limits import Limits

_CODING: Final = b"transfer-encoding"
_ONCE: Final = frozenset(
    {b"authorization", b"content-encoding", b"content-length", b"content-type", _CODING}
)


def with_sound_heads(app: ASGIApp, limits: Limits) -> ASGIApp:
    """Return an app that refuses a head that is too large, or that can be read in two ways."""

    async def checking(scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > limits.target_bytes:
            raise HTTPError(414, "target_too_long", "the path is too long", headers=CLOSE)
        size = 0
        once: dict[bytes, bytes] = {}
        for name, value in headers:
            size += len(name) + len(value)
            if name in _ONCE:
                if name in once:
                    raise HTTPError(400, "bad_request", "a header is there twice", headers=CLOSE)
                once[name] = value
        if size > limits.head_bytes or len(headers) > limits.head_fields:
            raise HTTPError(431, "head_too_large", "the headers are too large", headers=CLOSE)
        coding = once.get(_CODING)
        if coding is not None and b"content-length" in once:
            raise HTTPError(
                400,
                "bad_request",
                "Content-Length and Transfer-Encoding are both there",
                headers=CLOSE,
            )
        if coding is not None and coding.lower() != b"chunked":
            raise HTTPError(501, "transfer_encoding", "only chunked is known", headers=CLOSE)
        await app(scope, receive, send)

    return checking
