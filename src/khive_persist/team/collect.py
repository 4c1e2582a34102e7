"""`Collector`: takes a team's records out of a stream of JetStream and stores them in PostgreSQL.

Any number of collectors share the stream. A message is acknowledged once its record is committed:
what a collector had when it was killed comes to another one, and a record that comes twice is
stored once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import errors as stream_errors
from nats.js.api import AckPolicy, ConsumerConfig

from khive_persist.errors import DestinationError, KhiveError, StoreError
from khive_persist.store.postgres.team_tables import Rejection, Stored
from khive_persist.team.jetstream import NATS_ERRORS, STREAM, Servers, make_stream, record_of
from khive_persist.team.pull import Pull
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore

CONSUMER: Final = "collect"
# The time after which a message that a collector did not acknowledge comes to another one.
ACK_WAIT_SECONDS: Final = 30.0
BATCH_RECORDS: Final = 1_000
_MOST_UNACKNOWLEDGED: Final = 50_000
_FETCH_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.5
_STARTS: Final = 3
_SAY_SECONDS: Final = 60.0


class Collected(NamedTuple):
    """The numbers of messages by what became of them.

    Attributes:
        records: Those whose records are stored.
        rejected: Those that are no record, or one that cannot be stored; they lie beside.
    """

    records: Stored = Stored()
    rejected: int = 0

    @property
    def messages(self) -> int:
        """All of them."""
        return sum(self.records) + self.rejected


class Collector:
    """Collects until it is stopped, through the loss of servers of NATS and of the database."""

    def __init__(self, servers: Servers, store: TeamStore, say: Callable[[str], None]) -> None:
        """Prepare to collect.

        Args:
            servers: The servers that have the stream.
            store: The team's store; it is opened and closed by `run`.
            say: Called with each line for whoever looks on: what was lost, and what came back.
        """
        self._servers = servers
        self._store = store
        self._say = say
        self._stopping = asyncio.Event()
        self._client: Client | None = None
        self._source: Pull | None = None
        self._lost: set[str] = set()
        self._collected = Collected()
        self._said_at = time.monotonic()

    @property
    def collected(self) -> Collected:
        """The numbers so far, of the messages that are acknowledged."""
        return self._collected

    def stop(self) -> None:
        """End `run`, once what was begun is committed and acknowledged."""
        self._stopping.set()

    async def run(self, *, until_empty: bool = False) -> Collected:
        """Collect; return what became of the messages once it was stopped.

        Args:
            until_empty: Whether to end when no message waits, with any collector.

        Raises:
            KhiveError: The servers or the database were not reached at the start.
        """
        await self._store.open()
        try:
            self._source = await self._first_subscribed()
            batches: asyncio.Queue[list[Msg] | None] = asyncio.Queue(1)
            # The next messages come while those before them are stored.
            fetching = asyncio.create_task(self._fetch_all(batches, until_empty))
            try:
                while (messages := await batches.get()) is not None:
                    await self._take(messages)
                await fetching
            finally:
                fetching.cancel()
        finally:
            if self._client is not None:
                await _closed(self._client)
            await self._store.close()
        return self._collected

    async def _fetch_all(
        self, batches: "asyncio.Queue[list[Msg] | None]", until_empty: bool
    ) -> None:
        try:
            while not self._stopping.is_set():
                messages = await self._next()
                if messages:
                    await batches.put(messages)
                elif messages is not None and until_empty and await self._is_empty():
                    return
        finally:
            await batches.put(None)

    async def _next(self) -> list[Msg] | None:
        """Return the next messages: none where none came for a second, None where none could."""
        try:
            if self._source is None:
                self._source = await self._subscribed()
            messages = await self._source.fetch(BATCH_RECORDS, _FETCH_SECONDS)
        except (*NATS_ERRORS, DestinationError) as error:
            self._lose(self._servers.name, self._servers.unavailable(error))
            await self._leave_source()
            await self._pause()
            return None
        self._returned(self._servers.name)
        return messages

    async def _is_empty(self) -> bool:
        assert self._client is not None
        try:
            consumer = await self._client.jetstream().consumer_info(STREAM, CONSUMER)
        except NATS_ERRORS:
            return False
        return not consumer.num_pending and not consumer.num_ack_pending

    async def _take(self, messages: Sequence[Msg]) -> None:
        """Store messages, and acknowledge them once they are committed."""
        records, rejections = _read(messages)

        async def store() -> Collected:
            counts, refused = await self._store.store(records)
            if rejections:
                await self._store.reject(rejections)
            reasons = [item.reason for item in refused] + [item.reason for item in rejections]
            for reason in dict.fromkeys(reasons):
                self._say(f"a message is set apart in khive.team_rejected: {reason}")
            return Collected(counts, len(refused) + len(rejections))

        collected = await self._until_stored(store)
        if collected is None:
            # Another collector gets them at once, and not when their time is over.
            await _answered(messages, Msg.nak)
            return
        await _answered(messages, Msg.ack)
        total = self._collected
        self._collected = Collected(
            total.records + collected.records, total.rejected + collected.rejected
        )
        if time.monotonic() - self._said_at > _SAY_SECONDS:
            self._said_at = time.monotonic()
            self._say(f"{self._collected.messages:,} messages so far")

    async def _until_stored(self, store: Callable[[], Awaitable[Collected]]) -> Collected | None:
        """Store until it succeeds; None where it is stopped before that."""
        while True:
            try:
                collected = await store()
            except StoreError as error:
                self._lose(self._store.name, error)
                if self._stopping.is_set():
                    return None
                await self._pause()
            else:
                self._returned(self._store.name)
                return collected

    async def _subscribed(self) -> Pull:
        if self._client is None or self._client.is_closed:
            self._client = await self._servers.connect()
        context = self._client.jetstream()
        try:
            await make_stream(context)
            try:
                await context.consumer_info(STREAM, CONSUMER)
            except stream_errors.NotFoundError:
                await context.add_consumer(STREAM, _consumer())
            return await Pull(self._client, STREAM, CONSUMER).open()
        except NATS_ERRORS as error:
            raise self._servers.unavailable(error) from error

    async def _first_subscribed(self) -> Pull:
        """Subscribe; servers that have just been started may take some seconds."""
        for _ in range(_STARTS - 1):
            try:
                return await self._subscribed()
            except DestinationError:
                await self._pause()
        return await self._subscribed()

    async def _leave_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            with suppress(*NATS_ERRORS):
                await source.close()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), _PAUSE_SECONDS)
        except TimeoutError:
            return

    def _lose(self, name: str, error: BaseException) -> None:
        if name not in self._lost:
            self._lost.add(name)
            reason = error.args[0] if isinstance(error, KhiveError) else error
            self._say(f"{reason or type(error).__name__}; trying again")

    def _returned(self, name: str) -> None:
        if name in self._lost:
            self._lost.remove(name)
            self._say(f"{name}: answers again")


def _consumer() -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=CONSUMER,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_ack_pending=_MOST_UNACKNOWLEDGED,
    )


def _read(messages: Sequence[Msg]) -> tuple[list[TeamRecord], list[Rejection]]:
    records, rejections = [], []
    for message in messages:
        try:
            records.append(record_of(message.data, message.headers))
        except ValueError as error:
            place = message.metadata
            origin = f"{place.stream}/{place.sequence.stream} {place.timestamp.isoformat()}"
            rejections.append(Rejection(origin, str(error), message.data))
    return records, rejections


async def _answered(messages: Sequence[Msg], answer: Callable[[Msg], Awaitable[None]]) -> None:
    # Where it fails they come once more, to be stored in vain: each version is there once.
    with suppress(*NATS_ERRORS):
        for message in messages:
            await answer(message)


async def _closed(client: Client) -> None:
    with suppress(*NATS_ERRORS):
        await client.flush(timeout=2)
    await client.close()
