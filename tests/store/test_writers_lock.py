"""Who waits for the writers' lock gets it after one transaction, whoever else wants it again."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from khive_persist.store.sqlite import write_lock

HELD_SECONDS = 0.02
WAITS = 10


class Writer:
    """A thread that holds the lock, gives it back and takes it again at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = 0
        self.is_held = threading.Event()
        self.end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.end.is_set():
            with write_lock.held(self.path, 30):
                self.times += 1
                self.is_held.set()
                # What a transaction takes, not a wait for anything.
                time.sleep(HELD_SECONDS)


def wait_once(path: Path) -> None:
    with Writer(path) as writer:
        assert writer.is_held.wait(10)
        writer.end.set()
        with write_lock.held(path, 30):
            pass


def test_a_waiting_writer_is_next(tmp_path: Path) -> None:
    with Writer(tmp_path / "x.lock") as writer:
        for _ in range(WAITS):
            writer.is_held.clear()
            assert writer.is_held.wait(10)
            before = writer.times
            with write_lock.held(writer.path, 30):
                # One that was under way, and one that began before this one had asked.
                assert writer.times - before <= 2


def test_the_lock_is_waited_for_where_there_is_no_turnstile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, and on file systems without locks of ranges."""
    monkeypatch.setattr(write_lock, "_OFD_SETLK", None)
    wait_once(tmp_path / "x.lock")
    monkeypatch.setattr(write_lock, "_OFD_SETLK", 99_999)
    wait_once(tmp_path / "y.lock")


def test_who_gives_up_leaves_the_turnstile(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with write_lock.held(path, 30):
        with pytest.raises(TimeoutError):
            write_lock.acquire(path, 0)
        with open(path, "rb+") as file:
            assert write_lock.take_range(file.fileno(), 0)
    with open(path, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
