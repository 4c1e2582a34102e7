"""`Streamed`: an answer that comes piece by piece."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Sends what a generator gives, and closes it at the end: also where the client has left."""

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        headers: Mapping[str, str],
        media_type: str,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Send nothing yet.

        Args:
            content: What is sent.
            headers: Of the answer.
            media_type: Of the answer.
            ended: Called at the end, whether or not anything was sent.
        """
        super().__init__(content, headers=headers, media_type=media_type)
        self._content = content
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._content):
            await super().stream_response(send)
