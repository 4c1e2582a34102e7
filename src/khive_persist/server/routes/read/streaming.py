"""A streamed answer that closes its generator."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class ClosingStreamingResponse(StreamingResponse):
    """The answer of a generator's pieces, which it closes at the end, also if the client left."""

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        headers: Mapping[str, str],
        media_type: str,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Send nothing yet; `on_end` is called at the end, whether or not anything was sent."""
        super().__init__(content, headers=headers, media_type=media_type)
        self._content = content
        self._ended = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._content):
            await super().stream_response(send)
