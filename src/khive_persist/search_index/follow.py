"""Following the change logs: the index as a consumer of every file, under the name `search`.

A batch is read in one snapshot of its file and written in one transaction of the index, with the
position that it brings: killed in between, it is read again. A file that is new here, has another
epoch, was written to by others, or fell too far behind is compared as a whole, row by row and by
digest; a file without a log each time that it has changed.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from khive_persist import settings as configuration
from khive_persist.errors import (
    InvalidQueryError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
)
from khive_persist.hints import command_in
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.search_index import index_file, unchanged
from khive_persist.search_index.batch import BATCH_RECORDS, Batch
from khive_persist.search_index.index import Position, positions, purposes_pending
from khive_persist.search_index.index_file import IndexFile
from khive_persist.search_index.search_readers import SearchReaders, reading
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log, consumer_position
from khive_persist.store.sqlite.change_log import BEHIND
from khive_persist.store.sqlite.connection import Connection, open_reader
from khive_persist.store.sqlite.consumer_position import LogPosition
from khive_persist.store.sqlite.errors import translated
from khive_persist.threads import Advance, silent

CONSUMER: Final = "search"
# A search waits no longer for what is new.
CATCH_UP_SECONDS: Final = 2.0

# A file's log is told now and then: until then it keeps entries that nobody needs.
_ACKNOWLEDGED_AT: Final = 1_000
# Rowids may be negative.
_BELOW_ALL: Final = -(2**63)


def catch_up(
    project: Project,
    *,
    seconds: float = CATCH_UP_SECONDS,
    advance: Advance = silent,
    is_made: bool = True,
    may_write: bool = True,
    readers: SearchReaders | None = None,
) -> int | None:
    """Bring the index up to what the files have, for so many seconds; begun batches are finished.

    Several may do so at once, a batch each in turn; what is committed meanwhile need not be in it.
    A file that cannot be read is passed over, with what the index has of it.

    Args:
        project: The project, which is trusted.
        seconds: The longest time; a batch takes half a second or so.
        advance: A function of the number of records that were read since its last call.
        is_made: Whether the index is made where it is missing.
        may_write: Whether the files' logs are told, and comparisons with a whole file begun: both
            take the lock of their writers for a moment.
        readers: The connections of who searches next.

    Returns:
        How many changes are not in it yet; None where a comparison with a whole file is not done,
        so that anything may be missing.

    Raises:
        InvalidQueryError: `search.enabled` is false; the index is removed.
        InvalidSettingsError: config.toml is wrong.
        StoreBusyError: Others held the lock of the index for longer than that.
        StoreError: The index cannot be read or written.
        ProjectError: The key of this user's MACs cannot be read.
    """
    settings = configuration.load(project.config)
    if not settings.search_enabled:
        remove(project, settings)
        raise InvalidQueryError(
            "search is switched off",
            hint=command_in(project.root, "config", "set", "search.enabled", "true"),
        )
    if not is_made and not index_file.exists(project):
        return 0
    end = time.monotonic() + seconds
    purposes = known_purposes(project)
    with _Following(project, settings, advance, may_write=may_write) as following:
        try:
            return following.run(purposes, end, readers)
        except StoreBusyError:
            # Others are at it: what they have done by now is searched in.
            if math.isinf(seconds) or not index_file.exists(project):
                raise
    return count_behind(project)


def make_anew(project: Project, advance: Advance = silent) -> None:
    """Make the index anew from the files: it has all that they had when it was begun.

    Whoever searches meanwhile finds what is in it by then. Stopped or killed, the next search goes
    on with it.

    Args:
        advance: A function of the number of records that were read since its last call.

    Raises:
        InvalidQueryError: `search.enabled` is false; the index is removed.
        InvalidSettingsError: config.toml is wrong.
        StoreError: It cannot be written.
        ProjectError: The key of this user's MACs cannot be read.
    """
    settings = configuration.load(project.config)
    index_file.remove(project, settings.store_busy_timeout_seconds)
    catch_up(project, seconds=math.inf, advance=advance)


def count_behind(project: Project) -> int | None:
    """Count the changes that are not in the index; None where anything may be missing.

    What cannot be read is not counted.

    Raises:
        StoreError: The index cannot be read.
        ProjectError: The key of this user's MACs cannot be read.
    """
    followed = _followed(project)
    counts = [_behind(project, purpose, followed) for purpose in known_purposes(project)]
    return _sum(counts)


def acknowledge(project: Project) -> None:
    """Tell the files' logs what is in the index, and begin comparisons; without an index nothing.

    What cannot be told is told by the next one.
    """
    if not index_file.exists(project):
        return
    with suppress(StoreError):
        settings = configuration.load(project.config)
        with _Following(project, settings, silent, may_write=True) as following:
            followed = _followed(project)
            for purpose in known_purposes(project):
                following.prepare(purpose, followed.positions.get(purpose.name))


def remove(project: Project, settings: Settings) -> bool:
    """Remove the index, and return whether it was there; the files' logs forget it.

    Raises:
        StoreError: Its writers did not give it up, or a file cannot be written.
    """
    if not index_file.remove(project, settings.store_busy_timeout_seconds):
        return False
    for purpose in known_purposes(project):
        path = project.database(purpose.file)
        with suppress(StoreDamagedError):
            if path.exists():
                timeout = settings.store_busy_timeout_seconds
                consumer_position.drop(path, purpose, CONSUMER, timeout)
    return True


def take_removed(
    project: Project,
    settings: Settings,
    remover: str,
    announced: Iterable[Purpose],
    unannounced: Iterable[Purpose],
) -> None:
    """Take out of the index what a remover has changed or removed; see `removal`.

    Args:
        announced: The purposes of the records that it has announced.
        unannounced: Those of records that it could not announce: their files are compared as wholes
            by the next `catch_up`.

    Raises:
        StoreError: The index cannot be written.
    """
    with _Following(project, settings, silent, may_write=True) as following:
        for purpose in announced:
            try:
                following.take_removed(purpose, remover)
            except StoreDamagedError as error:
                if is_of_index(project, error):
                    raise
        for purpose in unannounced:
            following.begin_again(purpose)


def is_of_index(project: Project, error: StoreError) -> bool:
    """Return whether an error is of the index, and of no file that it follows."""
    return str(project.search_index) in str(error)


class _Followed(NamedTuple):
    """How far the files are followed, and whose records somebody was about to change."""

    positions: dict[str, Position]
    pending: set[str]


class _Following:
    """One run over the files of a project, with the index open once it is written to."""

    def __init__(
        self, project: Project, settings: Settings, advance: Advance, *, may_write: bool
    ) -> None:
        self._project = project
        self._longest_wait = settings.store_busy_timeout_seconds
        self._end = math.inf
        self._advance = advance
        self._may_write = may_write
        self.index = IndexFile(project)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    @property
    def _timeout(self) -> float:
        """The longest wait for others, in seconds."""
        return min(self._longest_wait, max(0.0, self._end - time.monotonic()))

    def run(
        self, purposes: Sequence[Purpose], end: float, readers: SearchReaders | None
    ) -> int | None:
        """Follow the files, one after the other, and return how many changes are left."""
        self._end = end
        followed = _followed(self._project, readers)
        paths = {purpose.name: self._project.database(purpose.file) for purpose in purposes}
        present = [purpose for purpose in purposes if paths[purpose.name].exists()]
        for name in followed.positions.keys() - {purpose.name for purpose in present}:
            # Also of a class that the project knows no longer.
            self._forget(name)
        is_followed = False
        for purpose in present:
            position = followed.positions.get(purpose.name)
            try:
                if purpose.name not in followed.pending:
                    if unchanged.is_unchanged(paths[purpose.name], position):
                        continue
                    if _behind(self._project, purpose, followed) == 0:
                        self.prepare(purpose, position)
                        continue
                is_followed = True
                self._follow(purpose, position)
            except StoreBusyError:
                raise
            except StoreError as error:
                # Of another file it has what it had.
                if is_of_index(self._project, error):
                    raise
        if is_followed:
            followed = _followed(self._project, readers)
        return _sum([_behind(self._project, purpose, followed) for purpose in present])

    def prepare(self, purpose: Purpose, position: Position | None) -> bool:
        """Tell a file's log what the index has, or begin with the whole table.

        Returns:
            Whether the file can be followed: not where that would take a lock which is not allowed.
        """
        path = self._project.database(purpose.file)
        if not path.exists():
            return False
        with _reading(path) as reader:
            is_logged = change_log.is_there(reader)
            is_other = position is None or _is_other(reader, path, purpose, position)
            acknowledged = change_log.positions(reader).get(CONSUMER) if is_logged else None
        if is_other and not is_logged:
            self._begin(purpose, unchanged.version_of(path), 0)
        elif is_other and self._may_write:
            self._register(purpose)
        elif is_other:
            return False
        elif position is not None and self._may_write and _is_untold(position, acknowledged):
            self._tell(purpose, position)
        return True

    def take_removed(self, purpose: Purpose, remover: str) -> None:
        """Read anew what a remover has changed or removed."""
        path = self._project.database(purpose.file)
        # Of a file that is there no longer all is taken out.
        while path.exists():
            with self.index.transaction(self._timeout) as index, _reading(path) as reader:
                if not Batch(reader, purpose, index).read_removed(remover):
                    return

    def begin_again(self, purpose: Purpose) -> None:
        """Compare a file that is followed as a whole, from its beginning."""
        with self.index.transaction(self._timeout) as index:
            position = index.position(purpose.name)
            if position is not None:
                again = position._replace(scanned=_BELOW_ALL, checked=0)
                index.set_position(purpose.name, again)

    def _follow(self, purpose: Purpose, position: Position | None) -> None:
        path = self._project.database(purpose.file)
        while self.prepare(purpose, position):
            is_done = False
            while not is_done:
                if time.monotonic() >= self._end:
                    return
                count, is_done = self._batch(purpose, path)
                self._advance(count)
            position = _followed(self._project).positions.get(purpose.name)
            with _reading(path) as reader:
                # Replaced meanwhile, or the index was made anew.
                if position is not None and not _is_other(reader, path, purpose, position):
                    break
        if self._may_write and position is not None:
            self.prepare(purpose, position)

    def _register(self, purpose: Purpose) -> None:
        """Let the file's log keep what comes from now on, and begin with the whole table."""
        path = self._project.database(purpose.file)
        epoch, seq = consumer_position.register(path, purpose, CONSUMER, self._timeout)
        self._begin(purpose, epoch, seq)

    def _begin(self, purpose: Purpose, epoch: str, seq: int) -> None:
        with self.index.transaction(self._timeout) as index:
            checked = 0 if index.has_any(purpose.name) else None
            index.set_position(purpose.name, Position(epoch, seq, _BELOW_ALL, checked))

    def _tell(self, purpose: Purpose, position: Position) -> None:
        path = self._project.database(purpose.file)
        place = LogPosition(position.epoch, position.seq)
        consumer_position.tell(path, purpose, CONSUMER, place, self._timeout)

    def _batch(self, purpose: Purpose, path: Path) -> tuple[int, bool]:
        """Take one batch in; how many records were read, and whether it was the last."""
        with self.index.transaction(self._timeout) as index, _reading(path) as reader:
            position = index.position(purpose.name)
            # Replaced meanwhile, or another process has made the index anew.
            if position is None or _is_other(reader, path, purpose, position):
                return 0, True
            batch = Batch(reader, purpose, index)
            if count := batch.read_pending(self._project):
                return count, False
            if position.scanned is not None:
                return batch.scan(position), False
            if position.checked is not None:
                return batch.check(position), False
            return batch.follow(position)

    def _forget(self, name: str) -> None:
        """Take out all of a file that is there no longer."""
        while time.monotonic() < self._end:
            with self.index.transaction(self._timeout) as index:
                records = index.records_after(name, -1, BATCH_RECORDS)
                for number, _ in records:
                    index.take_out(number)
                if not records:
                    index.drop_position(name)
                    return
            self._advance(len(records))


@contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    """Open a file for a look at one moment of it."""
    with closing(open_reader(path)) as reader, translated(path):
        reader.execute("BEGIN")
        yield reader


def _followed(project: Project, readers: SearchReaders | None = None) -> _Followed:
    with reading(project) if readers is None else readers.index() as connection:
        if connection is None:
            return _Followed({}, set())
        return _Followed(positions(connection), purposes_pending(connection))


def _behind(project: Project, purpose: Purpose, followed: _Followed) -> int | None:
    """Count the changes of a file that are not in the index; None where all may be missing."""
    path = project.database(purpose.file)
    position = followed.positions.get(purpose.name)
    if not path.exists():
        return 0
    if unchanged.is_unchanged(path, position):
        return 0
    version = unchanged.settled_version(path)
    try:
        with _reading(path) as reader:
            if position is None or not position.is_complete:
                return None
            if _is_other(reader, path, purpose, position):
                return None
            last = change_log.last(reader) if change_log.is_there(reader) else position.seq
    except StoreError:
        return 0
    if last == position.seq:
        unchanged.note(path, version, position)
    return last - position.seq


def _sum(counts: Sequence[int | None]) -> int | None:
    known_counts = [count for count in counts if count is not None]
    return sum(known_counts) if len(known_counts) == len(counts) else None


def _is_untold(position: Position, acknowledged: int | None) -> bool:
    """Return whether a file's log keeps many entries that the index has."""
    is_known = acknowledged is not None and position.is_complete
    return is_known and position.seq - (acknowledged or 0) >= _ACKNOWLEDGED_AT


def _is_other(reader: Connection, path: Path, purpose: Purpose, position: Position) -> bool:
    """Return whether a file has to be compared as a whole, and that is not under way."""
    if not change_log.is_there(reader):
        return position.is_complete and position.epoch != unchanged.version_of(path)
    state = change_log.state(reader)
    acknowledged = change_log.positions(reader).get(CONSUMER, BEHIND)
    has_others_rows = state.last_rowid != change_log.last_rowid(reader, purpose.table)
    is_known = BEHIND < acknowledged <= position.seq
    return state.epoch != position.epoch or has_others_rows or not is_known
