"""The cache of the sessions of applications that were read or written lately."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Required

import anyio.to_thread
from typing_extensions import TypedDict

from khive_persist.clock import InstantText
from khive_persist.errors import MirrorError, NotFoundError, StoreError
from khive_persist.mirror.session_copies import is_copied
from khive_persist.models.application_session import ACTIVE, ApplicationSession, Status
from khive_persist.models.query import column
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.store_pool import Stores
from khive_persist.store import codec
from khive_persist.store.application_sessions import ApplicationSessionStore

KEPT_SECONDS: Final = 300.0
MOST_BYTES: Final = 16 << 20
_LARGEST_BYTES: Final = MOST_BYTES // 16
# What an entry takes besides its text.
_ENTRY_BYTES: Final = 512


class SessionHead(TypedDict, total=False):
    """The fields of a session that a client with the right to write alone may see."""

    session_id: Required[str]
    status: Required[Status]
    version: Required[int]
    started_at: InstantText
    updated_at: InstantText
    completed_at: InstantText


class Entry(NamedTuple):
    """The entry of one session.

    Attributes:
        version: The version of the session.
        status: The status of the session.
        head: The fields of a `SessionHead`.
        body: The whole session, as the JSON of an answer.
    """

    version: int
    status: str
    head: dict[str, Any]
    body: bytes


class SessionCache:
    """The sessions by id, read through: each answer is what the database has.

    An entry stays for 5 minutes, in 16 MB together, and is replaced when this server writes. Before
    each use it is looked whether anybody has written to the file; where that was somebody else than
    this server, as the command line or another program, every entry is dropped.
    """

    def __init__(
        self,
        project: Project,
        live: LiveSettings,
        stores: Stores,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._live = live
        self._stores = stores
        self._metrics = metrics
        self._now = clock
        self._entries: OrderedDict[str, tuple[float, Entry]] = OrderedDict()
        self._bytes = 0
        self._accesses: dict[str, set[_SessionAccess]] = {}
        self._store: ApplicationSessionStore | None = None
        self._seen: object = None
        self._others: object = None

    async def get(self, id: str) -> Entry:
        """Return the session.

        Raises:
            NotFoundError: There is none.
            StoreError: As its subclasses say.
        """
        store = await self._current_store()
        entry = self._find(id)
        self._metrics.looked_up(is_hit=entry is not None)
        if entry is not None:
            return entry
        with self._accessing(id) as reading:
            sessions = await retried(lambda: store.find(column("id") == id, limit=1))
            if not sessions:
                raise NotFoundError(f"no session has the id {id!r}")
            await self._finish_copy(store, id)
            entry = entry_of(sessions[0])
            if not reading.is_stale:
                self._keep(id, entry)
            return entry

    async def write(
        self, id: str, work: Callable[[ApplicationSessionStore], Awaitable[ApplicationSession]]
    ) -> Entry:
        """Return the session as it is once `work` has written it; what that raises is raised."""
        store = await self._current_store()
        with self._accessing(id) as writing:
            try:
                session = await retried(lambda: work(store))
            finally:
                # Where it failed, it may be committed all the same.
                self._drop(id)
                is_stale = writing.is_stale
                _mark_stale(self._accesses[id])
            entry = entry_of(session)
            if not is_stale:
                # Not `id`: the session may have been given its own just now.
                self._keep(session.id, entry)
            return entry

    @contextmanager
    def _accessing(self, id: str) -> Iterator["_SessionAccess"]:
        """Yield an access: what it reads or writes is not kept where it is stale at its end."""
        access = _SessionAccess()
        others = self._accesses.setdefault(id, set())
        others.add(access)
        try:
            yield access
        finally:
            others.remove(access)
            if not others:
                del self._accesses[id]

    async def _finish_copy(self, store: ApplicationSessionStore, id: str) -> None:
        """Copy a session whose writer was killed before it could: what is told must be in both."""
        settings = self._live.settings
        if not await anyio.to_thread.run_sync(is_copied, self._project, id, settings):
            # Where that fails, too, as on a full disk, it can be read all the same.
            with suppress(StoreError, MirrorError):
                await store.revise(id, lambda content: content)

    async def _current_store(self) -> ApplicationSessionStore:
        store: ApplicationSessionStore = await self._stores.of(ApplicationSession)
        changes = store.changes()
        if store is self._store and changes == self._seen:
            return store
        # After the look: what is committed in between makes the next look another one.
        others = await store.changes_of_others()
        if store is not self._store or others != self._others:
            self._entries.clear()
            self._bytes = 0
            for accesses in self._accesses.values():
                _mark_stale(accesses)
        self._store, self._seen, self._others = store, changes, others
        return store

    def _find(self, id: str) -> Entry | None:
        until, entry = self._entries.get(id, (0.0, None))
        if entry is None or self._now() >= until:
            self._drop(id)
            return None
        self._entries.move_to_end(id)
        return entry

    def _keep(self, id: str, entry: Entry) -> None:
        self._drop(id)
        if len(entry.body) <= _LARGEST_BYTES:
            self._entries[id] = self._now() + KEPT_SECONDS, entry
            self._bytes += len(entry.body) + _ENTRY_BYTES
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._entries)))

    def _drop(self, id: str) -> None:
        _, entry = self._entries.pop(id, (0.0, None))
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES


class _SessionAccess:
    """A reading or a writing of one session.

    It is stale once another program has written, or another writing of the same session has ended:
    which of the two came first cannot be told.
    """

    def __init__(self) -> None:
        self.is_stale = False


def _mark_stale(accesses: Iterable[_SessionAccess]) -> None:
    for access in accesses:
        access.is_stale = True


def entry_of(session: ApplicationSession) -> Entry:
    """Return the entry of a session."""
    fields = session_fields(session.id, session.content)
    names = SessionHead.__annotations__
    head: dict[str, Any] = {name: fields[name] for name in names if name in fields}
    body = codec.dump_lossy(fields).encode()
    return Entry(fields["version"], fields["status"], head, body)


def session_fields(id: str, content: object) -> dict[str, Any]:
    """Return the fields of an answer; a session written past the store may lack some."""
    fields = content if isinstance(content, dict) else {}
    return {"session_id": id, "status": ACTIVE, "version": 0, **fields}
