"""`Pull`: messages of a consumer of JetStream, many at once.

The client's own `fetch` starts a task and a timer for each message, which takes longer than all
else that is done with it. https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

import asyncio
from typing import Final, Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from khive_persist.errors import DestinationError
from khive_persist.store import codec

_NANOSECONDS: Final = 1_000_000_000
# More than the largest message that servers are meant to take, and no more than a client holds.
_MOST_BYTES: Final = 64 * 1024 * 1024
_NO_MESSAGES: Final = ("404", "408")
_ANSWER_SECONDS: Final = 2.0


class Pull:
    """One subscription; one `fetch` at a time."""

    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        """Prepare; `open` subscribes."""
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._messages: list[Msg] = []
        self._needed = 0
        self._status = ""
        self._is_answered = asyncio.Event()

    async def open(self) -> Self:
        """Subscribe; the client does so again by itself on another server."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._take)
        return self

    async def close(self) -> None:
        """End it; what was not acknowledged comes to others."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def fetch(self, count: int, seconds: float) -> list[Msg]:
        """Return the messages that wait, at most so many; where none does, the next one.

        Args:
            count: The largest number of them.
            seconds: The time to wait for the next one; there is none after that.

        Raises:
            DestinationError: The consumer is gone, or no server has it now.
            TimeoutError: No server answers.
        """
        messages = await self._ask(count, {"batch": count, "no_wait": True}, _ANSWER_SECONDS)
        if not messages:
            linger = {"batch": 1, "expires": int(seconds * _NANOSECONDS)}
            messages = await self._ask(1, linger, seconds + _ANSWER_SECONDS)
        return messages

    async def _ask(self, count: int, request: dict[str, int | bool], seconds: float) -> list[Msg]:
        self._needed, self._status = count, ""
        self._is_answered.clear()
        if not self._messages:
            body = codec.dump(request | {"max_bytes": _MOST_BYTES}).encode()
            await self._client.publish(self._subject, body, reply=self._inbox)
            try:
                await asyncio.wait_for(self._is_answered.wait(), seconds)
            except TimeoutError:
                if not self._messages:
                    raise
        messages, self._messages = self._messages, []
        if not messages and self._status not in _NO_MESSAGES:
            raise DestinationError(f"the stream's consumer does not answer ({self._status})")
        return messages

    async def _take(self, message: Msg) -> None:
        if (message.headers or {}).get("Status") and not message.data:
            self._status = (message.headers or {})["Status"]
            self._is_answered.set()
            return
        self._messages.append(message)
        if len(self._messages) >= self._needed:
            self._is_answered.set()
