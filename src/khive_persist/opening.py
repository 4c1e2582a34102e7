"""Open a store: find its project, load its settings and redactor, and drain the spool before."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

import anyio
import anyio.to_thread
from pydantic import ValidationError

from khive_persist import settings as configuration
from khive_persist.capture.record_spool import PASSING, spool_instead
from khive_persist.capture.shared_drain import drained, records_drained
from khive_persist.capture.todo_lists.from_events import gather
from khive_persist.errors import InvalidRecordError
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.recovery import FEW_RECORDS, recover_file
from khive_persist.models.active_store import bind, set_opener, unbind
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.assignment import Assignment as Assignment
from khive_persist.models.experiment import Experiment as Experiment
from khive_persist.models.field_types import TimeSeries
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.measurement import Measurement as Measurement
from khive_persist.models.message import Message as Message
from khive_persist.models.node import Immutable, Node
from khive_persist.models.outcome import Outcome as Outcome
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import remember
from khive_persist.models.purposes import FOCUS_CHAINS, Purpose
from khive_persist.models.refusal import refusal
from khive_persist.models.score import Score as Score
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.store import postgres
from khive_persist.store.application_sessions import ApplicationSessionStore
from khive_persist.store.callbacks import CallbackOptions, Callbacks
from khive_persist.store.codec import StoredRow
from khive_persist.store.focus_chains import FocusChainStore
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.immutable import FixedStore
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.redacting import load_redactor, redact_row
from khive_persist.store.shared_stores import shared_store
from khive_persist.store.store import Store
from khive_persist.store.time_series import TimedStore

Record = TypeVar("Record", bound=Node)
TimeSeriesRecord = TypeVar("TimeSeriesRecord", bound=TimeSeries)
ImmutableRecord = TypeVar("ImmutableRecord", bound=Immutable)

_SCHEME = "sqlite:"


class OpenOptions(CallbackOptions, total=False):
    """The keywords of `open_store`."""

    dir: Path | str | None
    busy_timeout_seconds: float | None
    read_only: bool


@overload
def open_store(
    record: type[PlannerSession], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[PlannerSessionStore]: ...
@overload
def open_store(
    record: type[HookEvent], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[HookEventStore]: ...
@overload
def open_store(
    record: type[FocusChain], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[FocusChainStore]: ...
@overload
def open_store(
    record: type[ApplicationSession], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[ApplicationSessionStore]: ...
@overload
def open_store(
    record: type[TimeSeriesRecord], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[TimedStore[TimeSeriesRecord]]: ...
@overload
def open_store(
    record: type[ImmutableRecord], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[FixedStore[ImmutableRecord]]: ...
@overload
def open_store(
    record: type[Record], url: str | None = None, **options: Unpack[OpenOptions]
) -> AbstractAsyncContextManager[Store[Record]]: ...
@asynccontextmanager
async def open_store(
    record: type[Any],
    url: str | None = None,
    *,
    dir: Path | str | None = None,
    busy_timeout_seconds: float | None = None,
    read_only: bool = False,
    **callbacks: Unpack[CallbackOptions],
) -> AsyncIterator[Any]:
    """Open the store of a class of records, for the time of an `async with`.

    Its files lie where `find_project(dir)` finds a project, made where it is missing; or the one
    file is where `url` says. Each record is kept a second time, as JSON in its `sessions/`, unless
    config.toml turns that off or `url` names the file. Inside, the class's own calls
    (`await session.save()`) use this store. What waits in the spool is brought in first: records
    of the class by its opening and each reading, events by reading them or a to-do list's history.

    Args:
        record: `PlannerSession`, `HookEvent`, or a subclass of `Node` of yours.
        url: `sqlite:/path/to/file.db`, for a class with a single file; or `postgresql://…` for the
            tables of a database, where the extra `postgres` is installed: without a second copy and
            a spool, and redacted by the project's settings.
        dir: The directory that holds `.khive`.
        busy_timeout_seconds: The longest wait of a write for other programs, where that is less
            than `store.busy_timeout_seconds` of config.toml.
        read_only: Whether nothing is written or made, not even what is missing: a project on a
            read-only disk can be read. The spool is not brought in.
        callbacks: The functions `on_save`, `on_load` and `on_error`, async or not, that are called
            after this store saved, loaded, or failed. See `CallbackOptions`.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        InvalidRecordError: The class names no file, or `url` is of another kind.
        ProjectError: There is no project, or it cannot be used.
        StoreError: As its subclasses say.
    """
    options = OpenOptions(
        dir=dir, busy_timeout_seconds=busy_timeout_seconds, read_only=read_only, **callbacks
    )
    is_postgres = url is not None and url.startswith(postgres.SCHEMES)
    opened = _of_postgres if is_postgres else _opened
    async with opened(record, url, **options) as store:
        binding = bind(record, store)
        try:
            yield store
        finally:
            unbind(binding)


@asynccontextmanager
async def _opened(
    record: type[Any],
    url: str | None = None,
    *,
    dir: Path | str | None = None,
    busy_timeout_seconds: float | None = None,
    read_only: bool = False,
    **callbacks: Unpack[CallbackOptions],
) -> AsyncIterator[Any]:
    """Open a store as `open_store` does, but for no calls of other tasks."""
    project = find_project(dir)
    file = None if url is None else _checked_url(record, url)
    if read_only:
        async with _read_only(record, project, file, Callbacks(**callbacks)) as store:
            yield store
        return
    await anyio.to_thread.run_sync(project.make)
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings)
    if file is None:
        for purpose in record.purposes():
            await anyio.to_thread.run_sync(remember, project, purpose)
    timeout = settings.store_busy_timeout_seconds
    if busy_timeout_seconds is not None:
        timeout = min(timeout, busy_timeout_seconds)
    # What was spooled before comes first.
    names = frozenset(purpose.name for purpose in record.purposes())
    records_in = None if file else partial(records_drained, project, names)
    redact = partial(redact_row, redactor) if redactor is not None else None
    mirror = Mirror(project, settings)
    options: dict[str, Any] = {}
    if record is FocusChain and file is None:
        options["gather"] = partial(_gather, project, timeout, redact, mirror)
    store = _store_of(record)(
        record,
        lambda purpose: file or project.database(purpose.file),
        busy_timeout_seconds=timeout,
        before_read=partial(drained, project) if issubclass(record, HookEvent) else records_in,
        redact=redact,
        mirror_of=mirror.follower if file is None else None,
        callbacks=Callbacks(**callbacks) if callbacks else None,
        mirror_path=_paths_in_mirror(project, file),
        **options,
    )
    try:
        await store.open()
        if file is None and await store.is_behind():
            recover = partial(recover_file, most=FEW_RECORDS)
            for purpose in record.purposes():
                await anyio.to_thread.run_sync(recover, project, purpose, mirror, timeout)
        if records_in is not None:
            await records_in()
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def _of_postgres(
    record: type[Any],
    url: str | None,
    *,
    dir: Path | str | None = None,
    busy_timeout_seconds: float | None = None,
    read_only: bool = False,
    **callbacks: Unpack[CallbackOptions],
) -> AsyncIterator[Store[Any]]:
    assert url is not None
    project = find_project(dir)
    if not read_only:
        await anyio.to_thread.run_sync(project.make)
    settings = configuration.load(project.config)
    # What leaves has no secrets, either.
    redactor = None if read_only else load_redactor(project, settings)
    timeout = settings.store_busy_timeout_seconds
    if busy_timeout_seconds is not None:
        timeout = min(timeout, busy_timeout_seconds)
    store = _store_of(record)(
        record,
        lambda purpose: Path(purpose.file),
        redact=partial(redact_row, redactor) if redactor is not None else None,
        callbacks=Callbacks(**callbacks) if callbacks else None,
        tables=postgres.tables_at(url, record.purposes(), timeout, read_only=read_only),
    )
    try:
        await store.open()
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def _read_only(
    record: type[Any], project: Project, file: Path | None, callbacks: Callbacks
) -> AsyncIterator[Store[Any]]:
    store = _store_of(record)(
        record,
        lambda purpose: file or project.database(purpose.file),
        callbacks=callbacks if any(callbacks) else None,
        mirror_path=_paths_in_mirror(project, file),
        read_only=True,
    )
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def save_planning_session(
    content: Mapping[str, Any] | None = None, /, *, dir: Path | str | None = None, **fields: Any
) -> PlannerSession:
    """Save one plan in one call: committed, synced and copied on return.

        await save_planning_session(session_id="s1", task_description="…", complexity="complex")

    Where the database is busy, full, read-only or damaged, the plan is in the spool on return,
    synced, as a hook's event is: the log `khive_persist` says so, and the next drain brings it in.
    A service that saves many keeps a store open instead: opening costs more than a save.

    Args:
        content: The plan's content, as a mapping.
        dir: The directory that holds `.khive`.
        fields: Fields of the content, which come before those of `content`.

    Raises:
        InvalidRecordError: A field is missing or wrong.
        StoreError: As its subclasses say; neither database nor spool took it.
    """
    try:
        plan = PlannerSession(content={**(content or {}), **fields})
    except ValidationError as error:
        raise refusal(error) from error
    await save_alone([plan], dir=dir, are_new=True)
    return plan


async def save_alone(
    records: Sequence[Node], *, dir: Path | str | None = None, are_new: bool = False
) -> bool:
    """Save records of one class while no store is open; return whether they wait in the spool.

    Args:
        records: The records in order, at least one.
        dir: The directory that holds `.khive`.
        are_new: Whether their ids were made just now.

    Raises:
        StoreError: As its subclasses say; neither database nor spool took them.
    """
    record = type(records[0])
    project = find_project(dir)
    try:
        opening = partial(_opened, record, dir=dir)
        async with shared_store(str(project.root), record, opening) as store:
            if len(records) == 1:
                await store.save(records[0])
            else:
                await store.save_many(records)
    except PASSING as error:
        # What another kind of store writes hangs on what is there by then.
        if _store_of(record).save is not Store.save:
            raise
        spooling = partial(spool_instead, project, records, error, are_new=are_new)
        await anyio.to_thread.run_sync(spooling)
        return True
    return False


class reading(AbstractAsyncContextManager[Reader]):  # noqa: N801 - called as a function
    """Read several purposes of a project together, once what waits in its spool came in."""

    def __init__(self, project: Project, *purposes: Purpose) -> None:
        self._project = project
        self._reader = Reader([(project.database(purpose.file), purpose) for purpose in purposes])

    async def __aenter__(self) -> Reader:
        await drained(self._project)
        return self._reader

    async def __aexit__(self, *error: Any) -> None:
        await self._reader.__aexit__(*error)


async def _gather(
    project: Project,
    busy_timeout_seconds: float,
    redact: Callable[[StoredRow], StoredRow] | None,
    mirror: Mirror,
    session_id: str,
) -> None:
    await drained(project)
    await gather(
        project,
        session_id,
        busy_timeout_seconds=busy_timeout_seconds,
        redact=redact,
        mirror=mirror.follower(FOCUS_CHAINS),
    )


def _paths_in_mirror(
    project: Project, file: Path | None
) -> Callable[[Purpose, StoredRow], Path | None]:
    """Return the function that finds the second copy of a row; a file of its own has none."""

    def find(purpose: Purpose, row: StoredRow) -> Path | None:
        mirror = Mirror(project, configuration.load(project.config))
        return None if file or not mirror.has(purpose) else mirror.path(purpose, row)

    return find


def _checked_url(record: type[Node], url: str) -> Path:
    if not url.startswith(_SCHEME) or len(record.purposes()) != 1:
        raise InvalidRecordError(
            f"{url!r} cannot be opened for {record.__name__}",
            hint="a class with one file opens sqlite:/path/to/file.db",
        )
    return Path(url.removeprefix(_SCHEME).removeprefix("//"))


_STORES: dict[type[Node], type[Store[Any]]] = {
    PlannerSession: PlannerSessionStore,
    HookEvent: HookEventStore,
    FocusChain: FocusChainStore,
    ApplicationSession: ApplicationSessionStore,
    TimeSeries: TimedStore,
    Immutable: FixedStore,
}


def _store_of(record: type[Node]) -> type[Store[Any]]:
    return next((_STORES[base] for base in record.__mro__ if base in _STORES), Store)


# A record's own calls open a store for themselves where none is open.
set_opener(_opened, lambda record: save_alone([record]))
