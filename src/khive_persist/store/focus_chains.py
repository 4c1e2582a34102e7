"""Focus chains: snapshots in their order, each with what changed since the one before.

A snapshot may come late: a transcript is read long after the events of its session. So whoever adds
one weaves it in where it belongs, and the snapshots after it are told anew.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models import todo_list
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.purposes import FOCUS_CHAINS, Purpose
from khive_persist.models.query import column, field
from khive_persist.store import codec
from khive_persist.store.callbacks import Tally
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import rows as stored
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.store import Store

# Who told of a snapshot; of two that tell of the same, the later in this list is right.
TASK_EVENTS: Final = "task_events"
HOOKS: Final = "hooks"
TRANSCRIPT: Final = "transcript"
_SOURCES: Final = (TASK_EVENTS, HOOKS, TRANSCRIPT)
_CHANGES: Final = todo_list.Changes._fields

Chain = tuple[str, str | None]
_SortKey = tuple[str, tuple[int, ...], str]


class FocusChainStore(Store[FocusChain]):
    """The snapshots of `focus_chains.db`."""

    def __init__(
        self,
        record: type[FocusChain],
        path_of: Callable[[Purpose], Path],
        *,
        gather: Callable[[str], Awaitable[None]] | None = None,
        **options: Any,
    ) -> None:
        """Prepare a store; see `Store`.

        Args:
            gather: A function awaited with a session's id before its history is read, to bring in
                what only its hook events tell.
            options: Those of `Store`.
        """
        super().__init__(record, path_of, **options)
        self._gather = gather

    async def save(self, record: FocusChain) -> FocusChain:
        """Save a snapshot: committed, synced and copied on return.

        What changed since the snapshot before, of the same session and agent, and its `position`
        are filled in, in the record, too; a snapshot that comes late is put in where its
        `created_at` belongs. Whoever else writes waits meanwhile, so no position is there twice.

        Raises:
            InvalidRecordError: It is not JSON, or SQLite cannot hold it.
            StoreError: As its subclasses say; it is not saved.
        """
        await self.save_many([record])
        return record

    async def save_many(self, records: Iterable[FocusChain], *, atomic: bool = True) -> int:
        """Save snapshots as `save` does, always in one transaction; how many they were."""
        self._check_open()
        snapshots = list(records)
        async with self._reporting:
            new = [self._row(record) for record in snapshots]
            rows_by_id: dict[str, StoredRow] = {}

            def weave(rows: list[StoredRow]) -> list[StoredRow]:
                changed_rows = woven(rows, new)
                rows_by_id.update((row[0], row) for row in [*rows, *changed_rows])
                return changed_rows

            (writer,) = self._writers.values()
            await writer.revise(sessions_of(new), weave)
        if self._reporter is not None:
            await self._reporter.saved(writer.path, Tally(new))
        for record in snapshots:
            content = codec.column(rows_by_id[record.id][1])
            for name in ("position", *_CHANGES):
                record.content.pop(name, None)  # type: ignore[misc]
                if name in content:
                    record.content[name] = content[name]  # type: ignore[literal-required]
        return len(snapshots)

    async def get_history(self, session_id: str) -> list[FocusChain]:
        """Return every snapshot of a session, of all its agents, oldest first."""
        if self._gather is not None:
            self._check_open()
            await self._gather(session_id)
        order = (column("created_at"), field("position"))
        return await self.find(field("session_id") == session_id, order_by=order)

    async def get_current(self, session_id: str, agent_id: str | None = None) -> FocusChain | None:
        """Return the last snapshot of one agent; of the session's main agent without an id.

        None where the agent has none.
        """
        history = await self.get_history(session_id)
        of_agent = (s for s in reversed(history) if s.content.get("agent_id") == agent_id)
        return next(of_agent, None)


class _Snapshot(NamedTuple):
    row: StoredRow
    content: dict[str, Any]

    @property
    def chain(self) -> Chain:
        agent = self.content.get("agent_id")
        return str(self.content.get("session_id")), agent if isinstance(agent, str) else None

    @property
    def sort_key(self) -> _SortKey:
        at = clock.from_column(self.row[3])
        order = self._metadata.get("order", ())
        if not isinstance(order, list) or not all(isinstance(n, int) for n in order):
            order = ()
        return clock.to_text(at or clock.unreadable()), tuple(order), self.row[0]

    @property
    def keys(self) -> dict[str, str]:
        keys = self._metadata.get("told_by")
        pairs = keys.items() if isinstance(keys, dict) else ()
        return {source: key for source, key in pairs if isinstance(key, str)}

    @property
    def alias(self) -> str | None:
        alias = self._metadata.get("alias")
        return alias if isinstance(alias, str) else None

    @property
    def base_content(self) -> dict[str, Any]:
        """Return the content that it was made with, without what was computed from others."""
        derived = {"position", *_CHANGES}
        if "change" in self._metadata:
            derived.add("items")
        return {name: value for name, value in self.content.items() if name not in derived}

    @property
    def saved_form(self) -> tuple[Any, ...]:
        """Return what is to be saved, however its JSON is spelled."""
        return self.content, *self.row[2:]

    @property
    def _metadata(self) -> dict[str, Any]:
        metadata = self.content.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    def items_after(self, previous: todo_list.Items) -> list[dict[str, Any]]:
        change = self._metadata.get("change")
        if isinstance(change, dict):
            return todo_list.updated(previous, change)
        return todo_list.sound_items(self.content.get("items"))

    def with_changes(self, previous: "_Snapshot | None") -> "_Snapshot":
        """Return the snapshot with what changed since the one before."""
        old = [] if previous is None else todo_list.sound_items(previous.content.get("items"))
        items = self.items_after(old)
        changes = todo_list.changes(old, items)
        last = 0 if previous is None else previous.content.get("position")
        position = last + 1 if isinstance(last, int) else 1
        listed = {"items": items} if "change" in self._metadata else {}
        change_fields = {name: value for name, value in changes._asdict().items() if value}
        content = self.base_content | listed | {"position": position} | change_fields
        return _Snapshot((self.row[0], codec.dump_lossy(content), *self.row[2:]), content)


def woven(rows: Iterable[StoredRow], new: Iterable[StoredRow]) -> list[StoredRow]:
    """Put new snapshots among those of their sessions; return the rows that are new or other.

    A snapshot that is there already, under its id or by who told of it, changes nothing; one that
    an earlier source told of is told by the better source. The same again gives no rows.

    Args:
        rows: All snapshots of these sessions, as they are in the table.
        new: Rows of snapshots without `position` and changes. `metadata` of their content may have
            `told_by`, what each source calls the snapshot; `alias`, what another source would;
            `order` among those of one instant, as numbers; and `change`, of one item, which `items`
            is made from.
    """
    index = _SnapshotIndex(rows)
    saved_forms = {id: snapshot.saved_form for id, snapshot in index.by_id.items()}
    touched: dict[Chain, _SortKey] = {}
    for row in new:
        candidate = _snapshot(row)
        assert candidate is not None
        old = index.find(candidate)
        merged = candidate if old is None else _joined(old, candidate)
        if old is not None and (merged.base_content, merged.row[2:]) == (
            old.base_content,
            old.row[2:],
        ):
            continue
        index.put(merged)
        for snapshot in (merged,) if old is None else (merged, old):
            first = touched.get(snapshot.chain, snapshot.sort_key)
            touched[snapshot.chain] = min(snapshot.sort_key, first)
    for chain, first in touched.items():
        members = [snapshot for snapshot in index.by_id.values() if snapshot.chain == chain]
        last = None
        for snapshot in sorted(members, key=lambda snapshot: snapshot.sort_key):
            last = snapshot if snapshot.sort_key < first else snapshot.with_changes(last)
            index.put(last)
    return [
        snapshot.row
        for id, snapshot in index.by_id.items()
        if snapshot.saved_form != saved_forms.get(id)
    ]


def weave_in(
    path: Path, new: Sequence[StoredRow], busy_timeout_seconds: float, mirror: Mirroring
) -> int:
    """Save snapshots as `woven` says: committed, synced, copied on return; how many rows changed.

    Without a change nothing is opened for writing, and no file is made.

    Args:
        new: The snapshots, as for `woven`.

    Raises:
        StoreError: As its subclasses say; nothing was written.
        MirrorError: The second copy cannot be written.
    """
    sessions = sessions_of(new)
    table = FOCUS_CHAINS.table
    existing = stored.read_sessions(path, table, sessions) if path.exists() else []
    if not woven(existing, new):
        return 0
    with FileWriter(path, FOCUS_CHAINS, busy_timeout_seconds, mirror) as writer:
        with writer.transaction() as writing:
            changed_rows = woven(stored.fetch_sessions(writing.connection, table, sessions), new)
            writing.upsert(changed_rows)
        return len(changed_rows)


def sessions_of(rows: Iterable[StoredRow]) -> list[str]:
    """Return the sessions that rows of snapshots belong to."""
    contents = (codec.column(row[1]) for row in rows)
    return list(dict.fromkeys(str(c["session_id"]) for c in contents))


def _snapshot(row: StoredRow) -> _Snapshot | None:
    content = codec.column(row[1])
    return _Snapshot(row, content) if isinstance(content, dict) else None


class _SnapshotIndex:
    """The snapshots that are there, by id, and by what their sources call them."""

    def __init__(self, rows: Iterable[StoredRow]) -> None:
        self.by_id: dict[str, _Snapshot] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._by_alias: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            if (snapshot := _snapshot(row)) is not None:
                self.put(snapshot)

    def put(self, snapshot: _Snapshot) -> None:
        id, session = snapshot.row[0], snapshot.chain[0]
        self._by_key |= {(session, key): id for key in snapshot.keys.values()}
        if snapshot.alias is not None and id not in self.by_id:
            self._by_alias.setdefault((session, snapshot.alias), []).append(id)
        self.by_id[id] = snapshot

    def find(self, snapshot: _Snapshot) -> _Snapshot | None:
        """Return the stored snapshot with the same id, key or alias."""
        if snapshot.row[0] in self.by_id:
            return self.by_id[snapshot.row[0]]
        session, keys = snapshot.chain[0], snapshot.keys
        for key in keys.values():
            if (session, key) in self._by_key:
                return self.by_id[self._by_key[session, key]]
        if snapshot.alias is None:
            return None
        alike = (self.by_id[id] for id in self._by_alias.get((session, snapshot.alias), ()))
        # One that the same source told of is another time of the same thing.
        free = (other for other in alike if not other.keys.keys() & keys.keys())
        return min(free, key=lambda other: other.sort_key, default=None)


def _joined(existing: _Snapshot, new: _Snapshot) -> _Snapshot:
    """Return a snapshot that is there, with what a new one says of it."""
    keys = existing.keys | new.keys
    best = new if _rank(new.keys) >= _rank(existing.keys) else existing
    content = best.content
    if keys:
        content = content | {"metadata": {**content.get("metadata", {}), "told_by": keys}}
    (id, _, _, created_at, _), (_, _, metadata, _, embedding) = existing.row, best.row
    return _Snapshot((id, codec.dump_lossy(content), metadata, created_at, embedding), content)


def _rank(keys: Mapping[str, str]) -> int:
    return max((_SOURCES.index(source) for source in keys if source in _SOURCES), default=-1)
