"""The part of a body that is unread when its request is refused.

Closed with bytes that wait to be read, a connection is reset, and its sender never looks at the
answer (RFC 9112, 9.6). So the answer goes out first, then what still comes is thrown away.
"""

from typing import Final

import anyio
from starlette.types import Message, Receive, Scope, Send

from khive_persist.server.http.limits import Limits

_PIECE_BYTES: Final = 1 << 20
_PAUSE_SECONDS: Final = 0.01
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


class ActiveDiscards:
    """The number of bodies that a server discards: together they are not to cost much."""

    count = 0


class UnreadBody:
    """The body of one request, as far as it has not been read."""

    def __init__(
        self, scope: Scope, receive: Receive, limits: Limits, throwing: ActiveDiscards
    ) -> None:
        self._receive = receive
        self._limits = limits
        self._throwing = throwing
        self._is_read = not any(name in _BODY_HEADERS for name, _ in scope["headers"])

    async def receive(self) -> Message:
        """Return the next piece, for who answers the request."""
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    def before_end(self, send: Send) -> Send:
        """Send an answer that closes its connection; its end waits until the rest has come."""

        async def sending(message: Message) -> None:
            is_end = message["type"] == "http.response.body" and not message.get("more_body")
            if is_end and not self._is_read:
                await send({**message, "more_body": True})
                await self._throw_away()
                message = {"type": "http.response.body"}
            await send(message)

        return sending

    async def _throw_away(self) -> None:
        thrown = 0
        self._throwing.count += 1
        try:
            with anyio.move_on_after(self._limits.linger_seconds):
                while not self._is_read and thrown < self._limits.linger_bytes:
                    size = len((await self.receive()).get("body", b""))
                    if thrown // _PIECE_BYTES != (thrown + size) // _PIECE_BYTES:
                        await anyio.sleep(_PAUSE_SECONDS * self._throwing.count)
                    thrown += size
        finally:
            self._throwing.count -= 1
