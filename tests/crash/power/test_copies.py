"""Power that is lost while a second copy, or all of a place, is written anew."""

import os
import time
from pathlib import Path

import pytest

from khive_persist.backup.catalogue import read_catalogue
from khive_persist.backup.create import create_backup
from khive_persist.backup.folder import Folder
from khive_persist.backup.verify import verify_backups
from khive_persist.mirror.packing import pack
from khive_persist.place import Place
from khive_persist.store.sqlite import switch
from tests.backup.records import Rows, elsewhere, make_old, mirror, rows, save_plans
from tests.crash.power.disk_log import Step
from tests.crash.power.losses import WITHOUT_SYNCFS, acknowledged, lose_power, script
from tests.mirror.records import (
    copied,
    event,
    found,
    plan,
    recorded,
    save,
    save_many,
)

DONE = "\nsay('done')\n"


def age(place: Place) -> None:
    at = time.time() - 2 * 86_400
    for path in place.sessions.glob("*.json*"):
        os.utime(path, (at, at))


PACK = """
import os, time
from khive_persist.mirror.packing import pack
for path in place.sessions.glob("*.jsonl"):
    os.utime(path, (1, 1))
assert pack(place, 1.0).streams == 1
"""


@pytest.mark.parametrize("is_again", [False, True], ids=["first", "again"])
def test_packing(root: Path, place: Place, thoroughly: bool, is_again: bool) -> None:
    """The mirror has every record at any moment."""
    save_many(place, [event(f"e{number}") for number in range(5)])
    if is_again:
        age(place)
        pack(place, 1.0)
        save(place, event("late"))
    expected = recorded(place)

    def check(done: list[Step]) -> None:
        assert found(place) == []
        assert recorded(place) == expected
        if acknowledged(done):
            assert not list(place.sessions.glob("*.jsonl"))

    lose_power(root, script(place, PACK, DONE), thoroughly, check)


def sound_backups(folder: Folder) -> int:
    """How many backups there are; each is whole."""
    catalogue = read_catalogue(folder)
    assert not catalogue.damaged
    verdicts = verify_backups(folder, catalogue, catalogue.manifests)
    assert [problem for verdict in verdicts for problem in verdict.problems] == []
    return len(verdicts)


BACKUP = """
from khive_persist.backup.create import create_backup
from khive_persist.backup.folder import Folder
create_backup(place, Folder(Path(sys.argv[1]).parent / "backups"))
"""


def test_a_backup(root: Path, place: Place, thoroughly: bool) -> None:
    """It is there whole, or is no backup."""
    save(place, plan("p1"))
    folder = Folder(root / "backups")

    def check(done: list[Step]) -> None:
        assert sound_backups(folder) == (1 if acknowledged(done) else sound_backups(folder))

    lose_power(root, script(place, BACKUP, DONE), thoroughly, check)


def test_a_deleted_backup(root: Path, place: Place, thoroughly: bool) -> None:
    save(place, plan("p1"))
    folder = Folder(root / "backups")
    create_backup(place, folder)
    code = f"""
from khive_persist.backup.folder import Folder
from khive_persist.backup.prune import delete_backups
delete_backups(Folder(Path({str(folder.path)!r})), [{folder.ids()[0]!r}])
"""

    def check(done: list[Step]) -> None:
        assert sound_backups(folder) == 0 or not acknowledged(done)
        assert folder.ids() == [] or not acknowledged(done)

    lose_power(root, script(place, code, DONE), thoroughly, check)


RESTORE = """
from khive_persist.backup.catalogue import read_catalogue
from khive_persist.backup.folder import Folder
from khive_persist.backup.restore import restore_backup
folder = Folder(Path(sys.argv[1]).parent / "backups")
catalogue = read_catalogue(folder)
restore_backup(place, folder, catalogue, catalogue.find("latest"))
"""


def state_of(place: Place) -> tuple[Rows, dict[str, bytes]]:
    records = {name: file for name, file in mirror(place).items() if name[0] != "."}
    return rows(place), records


@pytest.mark.parametrize("first", ["", WITHOUT_SYNCFS], ids=["with syncfs", "without"])
def test_a_restore(root: Path, place: Place, thoroughly: bool, first: str) -> None:
    """All of the old or all of the new, once somebody has opened it."""
    source = elsewhere(root, "source")
    source.make()
    save_plans(source, "new", 3)
    save(source, event("e1"))
    create_backup(source, Folder(root / "backups"))
    new = state_of(source)
    make_old(place)
    old = state_of(place)

    def check(done: list[Step]) -> None:
        switch.settle(place.khive)
        state = state_of(place)
        assert state[0] in (old[0], new[0])
        assert state == (new if state[0] == new[0] else old)
        if acknowledged(done):
            assert state == new
            # What was replaced is kept.
            assert {path.name for path in place.quarantine.rglob("*.db")} == set(old[0])
            assert {p.name for p in place.quarantine.rglob("planner_session_*")} == set(old[1])
            assert not switch.is_pending(place.khive)

    lose_power(root, script(place, first, RESTORE, DONE), thoroughly, check)


def test_a_rebuild_of_the_databases(root: Path, place: Place, thoroughly: bool) -> None:
    save_many(place, [plan(f"p{number}") for number in range(3)])
    save(place, event("e1"))
    expected = recorded(place)
    for path in place.khive.glob("*.db*"):
        path.unlink()
    code = """
from khive_persist.copies import rebuild
anyio.run(lambda: rebuild("mirror", dir=place.root))
"""

    def check(done: list[Step]) -> None:
        switch.settle(place.khive)
        assert copied(place) == expected
        assert recorded(place) in ([expected] if acknowledged(done) else [expected, {}])

    lose_power(root, script(place, code, DONE), thoroughly, check)
