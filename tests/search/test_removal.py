"""What goes from the files goes from the index, to its last byte.

FTS5 keeps of a term what it does not share with the one before: so the tails of words that nothing
else has are looked for, too.
"""

import random
import sqlite3
import string
import zlib
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from khive_persist import copies, export_records, import_records, restore_backup
from khive_persist.maintenance.backup.backups import create_backup
from khive_persist.maintenance.retention.purge import Purged, purge
from khive_persist.maintenance.retention.removal import prune_all, rescan_all
from khive_persist.maintenance.retention.rules import Rule
from khive_persist.maintenance.trust.accept import accept
from khive_persist.models.purposes import BUILT_IN, CONVERSATIONS
from khive_persist.project import Project
from khive_persist.search_index import index_file
from khive_persist.search_index.follow import catch_up, count_behind
from khive_persist.search_index.removal import removing
from khive_persist.search_index.search_readers import reading
from khive_persist.search_index.state import index_state
from khive_persist.settings import Settings
from khive_persist.store.sqlite.rewrite import revise
from tests.factories import message, save, save_many
from tests.search.test_follow import found

GONE, STAYS = "session-that-goes", "session-that-stays"
# Letters that no English word of the rest has in this order.
_RANDOM = random.Random(18)
WORDS = ["".join(_RANDOM.choices(string.ascii_lowercase, k=14)) for _ in range(40)]


def text_of(number: int) -> str:
    return f"the {WORDS[number]} and something common to all"


def remains(project: Project) -> list[str]:
    """Return what the index has of the words, whole, as tails, or packed."""
    raw = b"".join(path.read_bytes() for path in sorted(project.khive.glob("search.db*")))
    needles = {word: word.encode() for word in WORDS}
    needles |= {f"…{word[-8:]}": word[-8:].encode() for word in WORDS}
    needles |= {f"z {n}": zlib.compress(text_of(n).encode(), 1)[2:20] for n in range(len(WORDS))}
    needles[GONE] = GONE.encode()
    return [name for name, needle in needles.items() if needle in raw]


@pytest.fixture
def searched(project: Project) -> Project:
    """Two sessions in one index, in several segments of it."""
    for start in range(0, 40, 8):
        save_many(
            project,
            [
                message(session, number, text=text)
                for number in range(start, start + 8)
                for session, text in ((GONE, text_of(number)), (STAYS, f"lasting {number}"))
            ],
        )
        assert catch_up(project) == 0
    assert len(remains(project)) > len(WORDS)
    return project


def run_purge(project: Project) -> Purged:
    return purge(project, GONE, BUILT_IN, Settings())


def assert_gone(project: Project) -> None:
    assert remains(project) == []
    assert found(project, "lasting") == 40
    assert count_behind(project) == 0


def test_nothing_is_left_of_a_purged_session(searched: Project) -> None:
    assert run_purge(searched).left_in == []
    assert_gone(searched)


def test_it_would_be_left_without_the_cleaning(
    searched: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(index_file.IndexFile, "clean", lambda *_: True)
        run_purge(searched)
        assert remains(searched)
    run_purge(searched)
    assert_gone(searched)


def test_nothing_is_left_of_rows_that_others_deleted_before(searched: Project) -> None:
    connection = sqlite3.connect(searched.database(CONVERSATIONS.file))
    connection.execute("DELETE FROM messages WHERE content LIKE ?", (f"%{GONE}%",))
    connection.commit()
    connection.close()
    run_purge(searched)
    assert_gone(searched)


def test_who_is_killed_leaves_it_to_the_next(searched: Project) -> None:
    """Records are announced before they go."""
    with removing(searched, Settings()) as removal:
        for _ in revise(
            searched.database(CONVERSATIONS.file),
            CONVERSATIONS,
            lambda row: None if GONE in (row[1] or "") else row,
            5.0,
            announce=lambda ids: removal.announce(CONVERSATIONS, ids),
        ):
            pass
        # While it is at it, nobody takes the records for done.
        assert catch_up(searched) == 0
        assert found(searched, f'"{WORDS[3]}"') == 1
    assert catch_up(searched) == 0
    assert found(searched, f'"{WORDS[3]}"') == 0
    run_purge(searched)
    assert_gone(searched)


def test_an_index_that_is_read_all_the_time_is_named(searched: Project) -> None:
    with reading(searched) as connection:
        assert connection is not None
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM records").fetchone()
        done = purge(searched, GONE, BUILT_IN, Settings(store_busy_timeout_seconds=0.2))
        assert done.left_in == [searched.khive / "search.db-wal"]
    run_purge(searched)
    assert_gone(searched)


def test_a_damaged_index_is_removed(searched: Project) -> None:
    content = bytearray(searched.search_index.read_bytes())
    for page in range(1, len(content) // 8192):
        content[page * 8192 : page * 8192 + 4096] = b"\xff" * 4096
    for path in searched.khive.glob("search.db-*"):
        path.unlink()
    searched.search_index.write_bytes(content)
    assert index_state(searched).problem
    assert run_purge(searched).left_in == []
    assert remains(searched) == []


def _prune(project: Project) -> bool:
    # The newer half is that of the other session's.
    save_many(project, [message(STAYS, 10_000 + n, text=f"lasting {n}") for n in range(40)])
    rule = Rule("*", keep_count=40)
    return prune_all(project, [(CONVERSATIONS, rule)], Settings())["conversations"].index_is_clean


def _rescan(project: Project) -> bool:
    deny = ", ".join(f'"{word}"' for word in WORDS)
    project.config.write_text(f'[redaction]\ndeny = [{deny}, "{GONE}"]\n')
    accept(project, keep=True)
    return rescan_all(project)["conversations"].index_is_clean


@pytest.mark.parametrize("remove", [_prune, _rescan])
def test_nothing_is_left_of_what_is_pruned_or_redacted(
    searched: Project, remove: Callable[[Project], bool]
) -> None:
    assert remove(searched)
    # The id of a session is redacted nowhere.
    assert [name for name in remains(searched) if name != GONE] == []
    assert found(searched, "lasting") == 40


def test_nothing_is_left_of_what_an_import_replaces(searched: Project, tmp_path: Path) -> None:
    async def run() -> bool:
        path = tmp_path / "all.jsonl"
        await export_records(path, dir=searched.root)
        text = path.read_text()
        for number, word in enumerate(WORDS):
            text = text.replace(word, f"other{number}").replace(GONE, STAYS)
        path.write_text(text)
        return (await import_records(path, update=True, dir=searched.root)).index_is_clean

    assert anyio.run(run)
    assert_gone(searched)


def test_nothing_is_left_of_what_a_restore_replaces(project: Project) -> None:
    async def run() -> None:
        save(project, message(STAYS, 1, text="lasting"))
        await create_backup(dir=project.root)
        save_many(project, [message(GONE, n, text=text_of(n)) for n in range(40)])
        catch_up(project)
        assert remains(project)
        assert (await restore_backup(dir=project.root)).index_is_clean

    anyio.run(run)
    assert remains(project) == []
    assert found(project, "lasting") == 1
    assert not list(project.quarantine.rglob("search.db*"))


def test_nothing_is_left_of_what_a_rebuild_replaces(searched: Project) -> None:
    for path in searched.sessions.glob("messages_*"):
        if GONE in path.read_text():
            path.unlink()
    done = anyio.run(lambda: copies.rebuild("mirror", dir=searched.root, discard_unmirrored=True))
    assert done.index_is_clean
    assert_gone(searched)
