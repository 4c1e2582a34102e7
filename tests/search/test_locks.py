"""Who writes to the index is alone, and what has to be durable is."""

import os
import threading
import zlib

import pytest

from khive_persist.errors import StoreBusyError
from khive_persist.project import Project
from khive_persist.search_index import index_file
from khive_persist.search_index.follow import catch_up
from khive_persist.search_index.index_file import IndexFile
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.statements import scalar
from tests.factories import message, save
from tests.search.test_follow import delete, found


@pytest.fixture
def held(project: Project) -> int:
    """Hold the lock of an index that lacks one record."""
    save(project, message("s1", 1, text="okapi"))
    assert catch_up(project) == 0
    save(project, message("s1", 2, text="okapi"))
    descriptor = write_lock.try_acquire(write_lock.lock_path(project.search_index))
    assert descriptor is not None
    return descriptor


def test_nobody_writes_while_another_does(project: Project, held: int) -> None:
    assert catch_up(project, seconds=0.2) == 1
    assert found(project, "okapi") == 1
    os.close(held)
    assert catch_up(project) == 0
    assert found(project, "okapi") == 2


def test_it_is_not_removed_while_another_writes(project: Project, held: int) -> None:
    with pytest.raises(StoreBusyError):
        index_file.remove(project, 0.1)
    assert project.search_index.exists()
    os.close(held)
    assert index_file.remove(project, 0.1)
    assert not project.search_index.exists()


def test_who_closes_it_writes_the_log_back_in_turn(project: Project, held: int) -> None:
    os.close(held)
    file = IndexFile(project)
    with file.transaction(5.0) as index:
        index.add_pending("conversations", ["1"], "me")
    log = project.khive / "search.db-wal"
    descriptor = write_lock.try_acquire(write_lock.lock_path(project.search_index))
    assert descriptor is not None
    closing = threading.Thread(target=file.close)
    closing.start()
    closing.join(0.3)
    assert closing.is_alive()
    assert log.stat().st_size
    os.close(descriptor)
    closing.join()
    assert not log.exists()


def test_what_is_announced_survives_a_power_loss(project: Project) -> None:
    with IndexFile(project) as file:
        with file.transaction(5.0, durable=True) as index:
            assert scalar(index._connection, "PRAGMA synchronous") == 2
        with file.transaction(5.0) as index:
            assert scalar(index._connection, "PRAGMA synchronous") == 1


def test_what_was_deleted_is_overwritten(project: Project) -> None:
    text = "an okapi that nobody is to see"
    record = message("s1", 1, text=text)
    save(project, record, message("s1", 2, text="stays"))
    packed = zlib.compress(text.encode(), 1)
    assert catch_up(project) == 0
    assert packed in project.search_index.read_bytes()
    delete(project, record.id)
    assert catch_up(project) == 0
    assert packed not in project.search_index.read_bytes()
