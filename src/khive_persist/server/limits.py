"""How much of a request is taken, and for how long; and what its head may be."""

from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from khive_persist.server.errors import Refused


class Limits(NamedTuple):
    """What one connection may cost. Sizes are in bytes.

    Attributes:
        head_bytes: Of the request line and the headers.
        head_fields: How many headers.
        target_bytes: Of the path and the query.
        head_seconds: From the first moment of a connection, or of another request on it, to the
            end of its head.
        body_seconds: From there to the end of the body.
        write_seconds: How long a client may leave an answer unread.
        idle_seconds: How long a connection is kept between two requests.
        connections: At once; one more closes the one that has waited longest for its head.
        buffered_bytes: Of all bodies together that are being read, but for the small ones.
        small_bytes: A body of up to so many is always read, however full the buffer is.
        linger_bytes: Read and thrown away of a refused body, so that its sender sees why.
        linger_seconds: For how long.
    """

    head_bytes: int = 32_768
    head_fields: int = 100
    target_bytes: int = 8_192
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    idle_seconds: float = 60.0
    connections: int = 512
    buffered_bytes: int = 64 << 20
    small_bytes: int = 65_536
    linger_bytes: int = 262_144
    linger_seconds: float = 0.5


CLOSE: Final = {"connection": "close"}
_CODING: Final = b"transfer-encoding"
_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        _CODING,
    }
)


class Heads:
    """Refuses a head that is too large, or that two programs could read in two ways."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers, limits = scope["headers"], self._limits
        if len(scope["raw_path"]) + len(scope["query_string"]) > limits.target_bytes:
            raise Refused(414, "target_too_long", "the path is too long", headers=CLOSE)
        size = 0
        once: dict[bytes, bytes] = {}
        for name, value in headers:
            size += len(name) + len(value)
            if name in _ONCE:
                if name in once:
                    raise Refused(400, "bad_request", "a header is there twice", headers=CLOSE)
                once[name] = value
        if size > limits.head_bytes or len(headers) > limits.head_fields:
            raise Refused(431, "head_too_large", "the headers are too large", headers=CLOSE)
        coding = once.get(_CODING)
        if coding is not None and b"content-length" in once:
            raise Refused(
                400,
                "bad_request",
                "Content-Length and Transfer-Encoding are both there",
                headers=CLOSE,
            )
        if coding is not None and coding.lower() != b"chunked":
            raise Refused(501, "transfer_encoding", "only chunked is known", headers=CLOSE)
