"""The databases of a folder replaced as one set: all of them, or none.

A file system renames one file at a time. So what is to be done is written down first, in
`switch.journal`; from then on it is done, if need be by the next process that opens a database of
the folder. Before that the old files are as they were. Whoever writes holds the lock of its
database, and looks for the journal under it.

A journal says what is renamed to what, and git can bring one with any pull. So it is obeyed only
where this user's key signed it; another one stops the writing until a person has looked at it.

Where others held a lock for longer than the timeout, a StoreBusyError is raised. Where a switch
cannot be finished, a StoreUnavailableError is; the next who opens a database tries again. Where it
could not begin, either says so, and nothing was changed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.errors import StoreUnavailableError
from khive_persist.files import read_regular
from khive_persist.hints import command_in
from khive_persist.project import RESERVED_DATABASES, make_directory, sync_directory, write_private
from khive_persist.store import codec
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import macs

JOURNAL: Final = "switch.journal"
DEFAULT_TIMEOUT_SECONDS: Final = 30.0
_MOST_BYTES: Final = 4 << 20
_SIDECARS: Final = ("-wal", "-shm", "-journal")


class Switch(NamedTuple):
    """A replacement of databases and folders by new ones.

    Attributes:
        incoming: The folder of the new files, below the databases' own.
        outgoing: The folder that takes what they replace, below the databases' own.
        databases: The names that the new files and the old ones have, together.
        folders: Folders that are replaced with them.
        arriving: The names that have a new file; the others only go.
    """

    incoming: str
    outgoing: str
    databases: tuple[str, ...]
    folders: tuple[str, ...]
    arriving: tuple[str, ...]


def is_pending(folder: Path) -> bool:
    """Return whether a switch has begun in this folder and is not done."""
    return os.path.lexists(folder / JOURNAL)


def settle(folder: Path, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
    """Finish the switch that somebody began in this folder and did not live to end."""
    while is_pending(folder):
        with _translated(folder):
            pending = _read(folder)
            if pending is None:
                continue
            with _held(folder, pending.databases, timeout_seconds):
                # Who began it may have been alive, and have ended it before giving up its locks.
                if _read(folder) == pending:
                    _carry_out(folder, pending)


@contextmanager
def in_turn(
    database: Path, timeout_seconds: float, is_wanted: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Hold the lock of a database, with no switch pending; see `lock.acquire`."""
    while True:
        settle(database.parent, timeout_seconds)
        with write_lock.held(write_lock.lock_path(database), timeout_seconds, is_wanted):
            if not is_pending(database.parent):
                yield
                return


def perform(
    folder: Path,
    incoming: Path,
    outgoing: Path,
    folders: tuple[str, ...] = (),
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    *,
    removes_others: bool = True,
    prepare: Callable[[], None] | None = None,
) -> None:
    """Replace all databases of a folder, and some folders beside them, by those that lie ready.

    Killed at any point, all of the old stays, or the new comes: at once, or with the next opening
    of a database. On return it is done and synced.

    Args:
        incoming: The new files, synced, in a folder below.
        outgoing: The folder below that takes the old ones; made, and removed again if it stays
            empty.
        folders: Names of folders that go with them; each comes where it lies in `incoming`.
        timeout_seconds: The longest wait for the writers of each database.
        removes_others: Whether databases without a successor go too; otherwise they stay.
        prepare: A function that brings the new files up to date once nobody writes; what it
            raises leaves the old ones.
    """
    arriving = tuple(sorted(name for name in os.listdir(incoming)))
    while True:
        settle(folder, timeout_seconds)
        names = _databases(folder, arriving, folders, removes_others=removes_others)
        with _translated(folder), _held(folder, names, timeout_seconds):
            # Made by somebody since: it has to be locked too, and each lock has its place in order.
            present = _databases(folder, arriving, folders, removes_others=removes_others)
            if is_pending(folder) or present != names:
                continue
            if prepare is not None:
                prepare()
            make_directory(outgoing)
            switch = Switch(
                str(incoming.relative_to(folder)), str(outgoing.relative_to(folder)),
                names, folders, arriving,
            )  # fmt: skip
            _write(folder, switch)
            _carry_out(folder, switch)
            return


def _databases(
    folder: Path, arriving: tuple[str, ...], folders: tuple[str, ...], *, removes_others: bool
) -> tuple[str, ...]:
    names = set(arriving).difference(folders)
    if removes_others:
        names |= {name for name in os.listdir(folder) if is_database(name)}
    return tuple(sorted(names))


def is_database(name: str) -> bool:
    """Return whether a file of this name is taken for a database of records.

    The index of the search is none, nor is the ledger of what has left for a team.
    """
    return name.endswith(".db") and not name.startswith(".") and name not in RESERVED_DATABASES


def _carry_out(folder: Path, switch: Switch) -> None:
    """Do what the journal says; what is done already is seen from where the files lie."""
    incoming, outgoing = folder / switch.incoming, folder / switch.outgoing
    for name in switch.databases:
        _replace(folder, incoming, outgoing, name, comes=name in switch.arriving)
    for name in switch.folders:
        _replace_folder(folder, incoming, outgoing, name, comes=name in switch.arriving)
    sync_directory(outgoing)
    sync_directory(folder)
    os.unlink(folder / JOURNAL)
    sync_directory(folder)
    if not os.listdir(outgoing):
        os.rmdir(outgoing)


def _replace(folder: Path, incoming: Path, outgoing: Path, name: str, *, comes: bool) -> None:
    live, staged, replaced = folder / name, incoming / name, outgoing / name
    if not os.path.lexists(staged) if comes else os.path.lexists(replaced):
        # It was replaced before: what lies here, sidecars too, has come since.
        return
    if comes and os.path.lexists(live) and not os.path.lexists(replaced):
        # A second name: at no moment is there no database.
        os.link(live, replaced, follow_symlinks=False)
    # SQLite would write an old WAL into the new file: it has to be gone for good before.
    for suffix in _SIDECARS:
        if os.path.lexists(folder / (name + suffix)):
            os.rename(folder / (name + suffix), outgoing / (name + suffix))
    sync_directory(outgoing)
    sync_directory(folder)
    if comes:
        os.replace(staged, live)
    elif os.path.lexists(live):
        os.rename(live, replaced)


def _replace_folder(
    folder: Path, incoming: Path, outgoing: Path, name: str, *, comes: bool
) -> None:
    live, staged, replaced = folder / name, incoming / name, outgoing / name
    if not os.path.lexists(staged) if comes else os.path.lexists(replaced):
        return
    if os.path.lexists(live):
        # Between its going and the other's coming, somebody else may have made it again.
        again = os.path.lexists(replaced)
        os.rename(live, outgoing / f"{name}.{clock.new_id()}" if again else replaced)
    if comes:
        os.rename(staged, live)


def is_believed(folder: Path) -> bool:
    """Return whether there is no journal, or this user's own."""
    try:
        with _translated(folder):
            _read(folder)
    except StoreUnavailableError:
        return False
    return True


def adopt(folder: Path) -> None:
    """Take a journal that lies here for this user's own, once the person said so.

    Raises:
        StoreUnavailableError: It is none, or names what lies outside of the folder.
    """
    with _translated(folder):
        journal = codec.load(read_regular(folder / JOURNAL, _MOST_BYTES))
        _write(folder, _switch(journal))


def _write(folder: Path, switch: Switch) -> None:
    content = switch._asdict()
    mac = macs.mac(folder, JOURNAL, codec.dump(content).encode())
    write_private(folder / JOURNAL, codec.dump(content | {"mac": mac}).encode())


def _read(folder: Path) -> Switch | None:
    try:
        journal = codec.load(read_regular(folder / JOURNAL, _MOST_BYTES))
    except FileNotFoundError:
        return None
    switch = _switch(journal)
    content = codec.dump(switch._asdict()).encode()
    if not macs.is_ours(folder, JOURNAL, content, journal.get("mac")):
        raise StoreUnavailableError(
            f"{folder / JOURNAL} is not this user's own; nothing is done by it",
            hint=f"{command_in(folder.parent, 'trust')} moves it into quarantine/,"
            " trust --keep carries it out",
        )
    return switch


def _switch(journal: dict[str, Any]) -> Switch:
    databases, folders, arriving = (
        tuple(journal[name]) for name in ("databases", "folders", "arriving")
    )
    switch = Switch(journal["incoming"], journal["outgoing"], databases, folders, arriving)
    inner = [*switch.incoming.split("/"), *switch.outgoing.split("/")]
    if any(name in ("", ".", "..") or "/" in name for name in (*inner, *databases, *folders)):
        raise ValueError("it names what lies outside of the folder")
    return switch


@contextmanager
def _held(folder: Path, names: tuple[str, ...], timeout_seconds: float) -> Iterator[None]:
    with ExitStack() as stack:
        # In one order, or two who switch would wait for each other.
        for name in sorted(names):
            stack.enter_context(write_lock.held_alone(folder / name, timeout_seconds))
        yield


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Raise what the file system says as ours."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, TimeoutError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise StoreUnavailableError(
            f"{folder}: the databases cannot be replaced ({reason})",
            hint=f"see that {folder} can be written to",
        ) from error
