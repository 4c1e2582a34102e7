"""`JetStreamDestination`: a team's stream in a cluster of NATS, from which `collect` stores."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from khive_persist.errors import DestinationError
from khive_persist.team.jetstream import (
    NATS_ERRORS,
    STREAM,
    Servers,
    make_stream,
    message_of,
    subject_of,
)
from khive_persist.team.team_record import TeamRecord

_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.25


class JetStreamDestination:
    """A stream that a quorum of servers keeps; records of a session go in the order they come in.

    What no server has acknowledged is published again, for a minute; the stream takes the same
    version once within five minutes, and the team's tables once for all times.
    """

    def __init__(self, url: str, token: str = "") -> None:
        """Read the address; see `Servers` for what it and the token may be."""
        self._servers = Servers(url, token)
        self._client: Client | None = None
        self._context: JetStreamContext | None = None

    async def send(self, records: Sequence[TeamRecord]) -> None:
        """Send records; see `Destination.send`."""
        end = time.monotonic() + _SECONDS
        unsent, error = list(records), None
        while unsent:
            try:
                unsent, error = await self._publish(unsent, await self._stream())
            except nats.errors.MaxPayloadError as limit:
                raise DestinationError(
                    f"{self._servers.name}: a record is larger than the servers' messages may be",
                    hint="raise max_payload in their settings",
                ) from limit
            except DestinationError:
                raise
            except NATS_ERRORS as failure:
                error = failure
            if unsent:
                if time.monotonic() > end:
                    raise self._servers.unavailable(error) from error
                await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client, self._context = self._client, None, None
        if client is not None:
            await client.close()

    async def _stream(self) -> JetStreamContext:
        if self._client is None or self._client.is_closed:
            self._client, self._context = await self._servers.connect(), None
        if self._context is None:
            context = self._client.jetstream()
            await make_stream(context)
            self._context = context
        return self._context

    async def _publish(
        self, records: Sequence[TeamRecord], context: JetStreamContext
    ) -> tuple[list[TeamRecord], BaseException | None]:
        """Return those that no quorum has acknowledged, and the reason of one."""
        answers = []
        error: BaseException | None = None
        for record in records:
            body, headers = message_of(record)
            subject = subject_of(record)
            try:
                answer = await context.publish_async(subject, body, headers=headers, stream=STREAM)
            except nats.errors.MaxPayloadError:
                raise
            except NATS_ERRORS as failure:
                error = failure
                break
            answers.append(answer)
        if answers:
            await asyncio.wait(answers, timeout=_ANSWER_SECONDS)
        unanswered = []
        for record, answer in zip(records, answers, strict=False):
            if not answer.done():
                answer.cancel()
                unanswered.append(record)
            elif answer.exception() is not None:
                error = answer.exception()
                unanswered.append(record)
        return [*unanswered, *records[len(answers) :]], error
