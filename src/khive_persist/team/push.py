"""Push what is new to a team, as the consumer `push` of the change logs.

A version is put down in the ledger before it is sent, and the position in the change log together
with what was acknowledged: killed at any moment, a push sends the same versions again. It waits for
nobody but the destination, and nobody waits for it.
"""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, NamedTuple, TypeVar

from anyio import to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidSettingsError, KhiveError, StoreBusyError
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import Purpose
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import load_redactor
from khive_persist.store.session_ids import session_id as session_id_of
from khive_persist.store.session_ids import session_of
from khive_persist.store.sqlite import consumer_position, write_lock
from khive_persist.store.sqlite.team.ledger import (
    Entry,
    Ledger,
    Position,
    State,
    Unsent,
)
from khive_persist.store.sqlite.team.ledger_file import LedgerCopy, LedgerFile, ledger_file, reading
from khive_persist.team import kinds
from khive_persist.team.destination import MOST_RECORDS, Destination, destination_of
from khive_persist.team.form import Forms
from khive_persist.team.names import Names, manner_of
from khive_persist.team.reading import CONSUMER, Chunk, Following
from khive_persist.team.run import LOCK
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.versions import Outgoing, Versions, batches
from khive_persist.threads import Advance, silent
from khive_persist.tombstones import CurrentTombstones

_PURGED: Final = "purged"
_Result = TypeVar("_Result")


class Pushed(NamedTuple):
    """The result of a push.

    Attributes:
        records: The number of versions of records that left.
        withdrawn: The number of records that were taken out at the team.
        bytes: The size of both, before they were packed.
        is_complete: Whether nothing waits; not where a limit was reached.
    """

    records: int = 0
    withdrawn: int = 0
    bytes: int = 0
    is_complete: bool = True


async def push(
    project: Project,
    *,
    limit: int | None = None,
    is_all: bool = False,
    advance: Advance = silent,
) -> Pushed:
    """Send what is new to the team; what was acknowledged is in the ledger on return.

    A cancelled push sends the versions that were not acknowledged again, the next time.

    Args:
        project: The project, which is trusted.
        limit: The largest number of versions of records to send.
        is_all: Whether all records are looked at again, and not what the change logs name.
        advance: A function of the number of records that were looked at since its last call.

    Raises:
        InvalidSettingsError: Nothing may leave, or a setting of `[team]` is wrong.
        StoreBusyError: Another push is at it.
        DestinationError: The team has not said that it has what was sent: it is sent again.
        MissingExtraError: What the address needs is not installed.
        ProjectError: The key of hashes or of redaction cannot be read.
        StoreError: The ledger or a database cannot be read or written.
    """
    settings = _sending(project)
    async with AsyncExitStack() as stack:
        lock = await to_thread.run_sync(_lock, project)
        stack.callback(os.close, lock)
        ledger = stack.enter_context(ledger_file(project))
        try:
            destination = destination_of(settings.team_url, _token(settings))
            stack.push_async_callback(destination.close)
            work = _Push(project, settings, ledger, destination, limit, is_dry=False)
            pushed = await work.run(advance, is_all=is_all)
        except KhiveError as error:
            await to_thread.run_sync(partial(_note_end, settings, ledger, str(error)))
            raise
        await to_thread.run_sync(partial(_note_end, settings, ledger, ""))
        return pushed


async def rehearse(
    project: Project,
    show: Callable[[TeamRecord], None],
    *,
    limit: int | None = None,
    is_all: bool = False,
) -> Pushed:
    """Show what a push would send now, record by record; nothing is sent, and nothing is noted.

    Raises:
        InvalidSettingsError: As for `push`, and so the others, but for those of sending.
    """
    settings = _sending(project)
    copied = partial(LedgerCopy, project, settings.store_busy_timeout_seconds)
    with await to_thread.run_sync(copied) as ledger:
        work = _Push(project, settings, ledger, _Shown(show), limit, is_dry=True)
        return await work.run(silent, is_all=is_all)


class _Shown:
    """A destination that only shows."""

    def __init__(self, show: Callable[[TeamRecord], None]) -> None:
        self._show = show

    async def send(self, records: Sequence[TeamRecord]) -> None:
        """Show them."""
        for record in records:
            self._show(record)

    async def close(self) -> None:
        """Do nothing: it is connected to nothing."""


class _Push:
    """One run over the files of a project."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        ledger_file: LedgerFile | LedgerCopy,
        destination: Destination,
        limit: int | None,
        *,
        is_dry: bool,
    ) -> None:
        self._project = project
        self._ledger_file = ledger_file
        self._destination = destination
        self._remaining = limit
        self._is_dry = is_dry
        self._timeout = settings.store_busy_timeout_seconds
        self._purposes = known_purposes(project)
        self._forms = kinds.forms_of(settings, self._purposes)
        self._tombstones = CurrentTombstones(project)
        self._names = Names(project, settings)
        redactor = load_redactor(project, settings._replace(redaction_enabled=True))
        assert redactor is not None
        prices = PriceTable(settings.cost_prices)
        forms = Forms(self._names.hashes, prices, redactor)
        self._versions = Versions(self._names, forms)
        self._url = settings.team_url
        self._settings = settings
        self._pushed = Pushed()

    async def run(self, advance: Advance, *, is_all: bool) -> Pushed:
        """Send all that is new, or as much as the limit allows."""
        await self._in_thread(partial(self._prepare, is_all=is_all))
        await self._withdraw_due()
        for purpose in self._purposes:
            path = self._project.database(purpose.file)
            if not path.exists() or self._is_over:
                continue
            if self._forms[purpose.name] == "off":
                if not self._is_dry:
                    drop = partial(consumer_position.drop, path, purpose, CONSUMER, self._timeout)
                    await to_thread.run_sync(drop)
                continue
            await self._push_file(purpose, advance)
            await self._withdraw_due()
        return self._pushed._replace(is_complete=not self._is_over)

    @property
    def _is_over(self) -> bool:
        return self._remaining is not None and self._remaining <= 0

    def _prepare(self, ledger: Ledger, *, is_all: bool) -> None:
        state = ledger.state()
        if state.destination not in ("", self._url):
            ledger.forget_sent()
        elif is_all:
            ledger.forget_positions()
        ledger.set_state(state._replace(destination=self._url))

    async def _push_file(self, purpose: Purpose, advance: Advance) -> None:
        path = self._project.database(purpose.file)
        following = Following(
            path, purpose, self._manner(purpose), self._timeout, may_write=not self._is_dry
        )
        position = await self._begin(purpose, following)
        while not self._is_over:
            chunk, outgoing = await self._in_thread(
                partial(self._next, purpose, following, position)
            )
            is_whole = await self._send(outgoing)
            if not is_whole:
                return
            await self._in_thread(partial(self._keep, purpose, chunk.position))
            position = chunk.position
            advance(len(chunk.rows) + len(chunk.removals) + len(chunk.checked))
            if chunk.is_last:
                await to_thread.run_sync(following.tell, position)
                return

    async def _begin(self, purpose: Purpose, following: Following) -> Position:
        """Return the position from which a file is read on, which is noted."""
        previous = await self._in_thread(lambda ledger: ledger.position(purpose.name))
        # The lock of a file's writers is not asked for while that of the ledger is held.
        position = await to_thread.run_sync(following.begin, previous)

        def note(ledger: Ledger) -> None:
            ledger.set_position(purpose.name, position)
            if following.unsent is not None:
                ledger.note_unsent(following.unsent)

        await self._in_thread(note)
        return position

    def _keep(self, purpose: Purpose, position: Position, ledger: Ledger) -> None:
        ledger.set_position(purpose.name, position)

    def _next(
        self, purpose: Purpose, following: Following, position: Position, ledger: Ledger
    ) -> tuple[Chunk, list[Outgoing]]:
        """Read the next part of a file, and put down the versions in which it is to leave."""
        chunk = following.read(position, ledger)
        off_sessions = {session.session_id for session in ledger.off_sessions()}
        self._note_gone(purpose, chunk, off_sessions, ledger)
        entries: dict[str, list[Entry]] = {}
        for entry in ledger.entries(purpose.name, [row[0] for row in chunk.rows]):
            entries.setdefault(entry.place.id, []).append(entry)
        form = self._forms[purpose.name]
        sender = ledger.sender(self._names.sender(is_hashed=form == "metrics"))
        tombstones = self._tombstones.get()
        outgoing = []
        for row in chunk.rows:
            if _is_of(row, off_sessions) or tombstones.is_purged(row):
                continue
            item = self._versions.of_row(
                purpose, form, sender, row, entries.get(row[0], []), ledger
            )
            if item is not None:
                outgoing.append(item)
        ledger.put([item.entry for item in outgoing])
        return chunk, outgoing

    def _note_gone(
        self, purpose: Purpose, chunk: Chunk, off_sessions: set[str], ledger: Ledger
    ) -> None:
        """Take out at the team what was purged or deleted here, and not what only grew old."""
        changes = {change.id: change for change in chunk.removals}
        ids = [*changes, *chunk.checked]
        entries = ledger.entries(purpose.name, ids)
        for entry in entries:
            change = changes.get(entry.place.id)
            if entry.withdrawal is not None:
                continue
            if self._is_purged(entry.place.session_id, entry.created_at or ""):
                ledger.withdraw(entry, _PURGED)
            elif change is not None and change.kind == "delete":
                # What is pruned is not logged as such.
                ledger.withdraw(entry, "deleted")
        known_ids = {entry.place.id for entry in entries}
        unsent = sum(
            1
            for change in chunk.removals
            if change.id not in known_ids
            and change.session not in off_sessions
            and not self._is_purged(change.session or "", "")
        )
        if unsent:
            ledger.note_unsent(Unsent(purpose.name, unsent, 0))

    def _is_purged(self, session: str, created_at: str) -> bool:
        """Return whether a purge covers a record of a session and a time."""
        purged_until = self._tombstones.get().purged_until(session) if session else ""
        return "" != purged_until >= created_at

    async def _withdraw_due(self) -> None:
        """Take out at the team what is to be taken out there."""
        while not self._is_over:
            outgoing = await self._in_thread(self._due)
            if not outgoing or not await self._send(outgoing):
                return

    def _due(self, ledger: Ledger) -> list[Outgoing]:
        senders = ledger.senders()
        return [
            self._versions.tombstone(entry, senders[entry.place.sender])
            for entry in ledger.due(MOST_RECORDS)
        ]

    async def _send(self, outgoing: Sequence[Outgoing]) -> bool:
        """Send versions batch by batch, each noted once it is acknowledged; whether all went."""
        allowed = outgoing if self._remaining is None else outgoing[: self._remaining]
        for batch in batches(allowed):
            await self._destination.send([item.record for item in batch])
            await self._in_thread(partial(self._acknowledge, batch))
            if self._remaining is not None:
                self._remaining -= len(batch)
        return len(allowed) == len(outgoing)

    def _acknowledge(self, batch: Sequence[Outgoing], ledger: Ledger) -> None:
        instant = clock.to_text(clock.now())
        current = {
            entry.place: entry
            for purpose in dict.fromkeys(item.entry.place.purpose for item in batch)
            for entry in ledger.entries(purpose, [item.entry.place.id for item in batch])
        }
        # What was withdrawn meanwhile has another version by now.
        entries = [
            item.entry._replace(sent_at=instant)
            for item in batch
            if (entry := current.get(item.entry.place)) and entry.version == item.entry.version
        ]
        purged = [entry for entry in entries if current[entry.place].withdrawal == _PURGED]
        ledger.put([entry for entry in entries if entry not in purged])
        if purged:
            ledger.drop(purged)
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for item in batch:
            form = _PURGED if item.record.content is None else item.record.form
            count, size = sums.get((item.record.purpose, form), (0, 0))
            sums[item.record.purpose, form] = count + 1, size + item.size
        for (name, form), (count, size) in sums.items():
            ledger.note_left(instant[:10], name, form, count, size)
        withdrawn = sum(1 for item in batch if item.record.content is None)
        self._pushed = self._pushed._replace(
            records=self._pushed.records + len(batch) - withdrawn,
            withdrawn=self._pushed.withdrawn + withdrawn,
            bytes=self._pushed.bytes + sum(item.size for item in batch),
        )

    def _manner(self, purpose: Purpose) -> str:
        return manner_of(self._forms[purpose.name], self._names, self._settings)

    async def _in_thread(self, work: Callable[[Ledger], _Result]) -> _Result:
        def run() -> _Result:
            with self._ledger_file.transaction(self._timeout) as ledger:
                return work(ledger)

        return await to_thread.run_sync(run)


def _is_of(row: StoredRow, sessions: Collection[str]) -> bool:
    """Return whether a record is of one of some sessions, or a plan that one carries out."""
    if not sessions:
        return False
    content = codec.column(row[1])
    agent_session = content.get("agent_session_id") if isinstance(content, dict) else None
    return session_of(row) in sessions or session_id_of(agent_session) in sessions


def _sending(project: Project) -> Settings:
    """Return the settings of a project of which something may leave."""
    settings = configuration.load(project.config)
    if not settings.team_url:
        raise InvalidSettingsError(
            "team.url is not set", hint="khive-persist config set team.url … --local"
        )
    # What is to be taken out at the team is, whatever else may leave.
    if not kinds.sends(settings) and not _count_due(project):
        raise InvalidSettingsError(
            "nothing leaves: team.form is off",
            hint="khive-persist config set team.form metrics --local",
        )
    return settings


def _count_due(project: Project) -> int:
    with reading(project.team_ledger) as ledger:
        return 0 if ledger is None else ledger.count_due()


def _token(settings: Settings) -> str:
    variable = settings.team_token_variable
    if not variable:
        return ""
    token = os.environ.get(variable, "")
    if not token:
        raise InvalidSettingsError(f"{variable} is not set", hint="team.token_variable names it")
    return token


def _lock(project: Project) -> int:
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    if descriptor is None:
        raise StoreBusyError("another push is at it", hint="it sends what is new")
    # Its time is that of the last try.
    os.utime(project.khive / LOCK)
    return descriptor


def _note_end(settings: Settings, ledger_file: LedgerFile, problem: str) -> None:
    with ledger_file.transaction(settings.store_busy_timeout_seconds) as ledger:
        state = ledger.state()
        pushed_at = state.pushed_at if problem else clock.to_text(clock.now())
        ledger.set_state(State(state.destination, pushed_at, problem))
