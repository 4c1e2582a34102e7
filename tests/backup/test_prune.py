"""Old backups go, and no chain is broken."""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from khive_persist import clock
from khive_persist.errors import BackupError, NotFoundError
from khive_persist.maintenance.backup.catalogue import Catalogue, read_catalogue
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.manifest import Manifest, StoredObject
from khive_persist.maintenance.backup.prune import abandoned, delete_backups, prunable
from khive_persist.project import Project
from tests.backup.records import elsewhere, restored, rows, save_plans

NOTHING = StoredObject(bytes=0, sha256="0" * 64, content_bytes=0)


def manifest(number: int, days: float, parent: Manifest | None) -> Manifest:
    return Manifest(
        format=1,
        id=f"20261121T000000Z-{number:08x}",
        created_at=clock.to_text(clock.now() - timedelta(days=days)),
        kind="full" if parent is None else "incremental",
        parent=None if parent is None else parent.id,
        compression="none",
        encryption="none",
        files=(),
        mirror_files=0,
        mirror_bytes=0,
        index=NOTHING,
        pack=NOTHING,
    )


def catalogue(manifests: Sequence[Manifest]) -> Catalogue:
    return Catalogue({one.id: one for one in manifests}, {}, ())


def made(*days_and_parents: tuple[float, int | None]) -> list[Manifest]:
    """The oldest first; a parent is the number of an earlier one."""
    found: list[Manifest] = []
    for number, (days, parent) in enumerate(days_and_parents):
        found.append(manifest(number, days, None if parent is None else found[parent]))
    return found


@pytest.mark.parametrize(
    ("keep_count", "keep_days", "going"),
    [
        (2, 0, [0, 1]),
        (0, 7, [0, 1, 2]),
        (0, 25, [0, 1]),
        (1, 25, [0, 1]),
        (3, 7, [0]),
        (9, 0, []),
        (0, 90, []),
        (0, 0, [0, 1, 2, 3]),
    ],
)
def test_what_either_rule_keeps_stays(keep_count: int, keep_days: float, going: list[int]) -> None:
    four = made((40, None), (30, None), (20, None), (1, None))
    found = prunable(catalogue(four), keep_count=keep_count, keep_days=keep_days)
    assert [one.id for one in found] == [four[number].id for number in reversed(going)]


def test_what_a_kept_one_is_based_on_stays() -> None:
    chain = made((40, None), (39, None), (30, 0), (20, 2), (10, None), (1, 3))
    found = prunable(catalogue(chain), keep_count=1)
    assert [one.id for one in found] == [chain[4].id, chain[1].id]


def test_at_no_moment_of_pruning_is_a_chain_broken() -> None:
    some = random.Random()
    for _ in range(200):
        shape = [(float(50 - n), some.choice([None, *range(n)]) if n else None) for n in range(8)]
        all = made(*shape)
        going = prunable(catalogue(all), keep_count=some.randint(0, 3))
        # Killed after any of them, what is left can be restored.
        for done in range(len(going) + 1):
            left = catalogue([one for one in all if one not in going[:done]])
            for one in left.manifests.values():
                left.chain(one)


def test_what_is_left_can_be_restored(saved: Project, folder: Folder, tmp_path: Path) -> None:
    for number in range(5):
        save_plans(saved, f"more-{number}", 5)
        create_backup(saved, folder, since="latest" if number not in (0, 2) else "")
    found = read_catalogue(folder)
    going = prunable(found, keep_count=1)
    assert [one.id for one in going] == list(itertools.islice(found.manifests, 2))[::-1]
    delete_backups(folder, [one.id for one in going])
    assert len(folder.ids()) == 3
    other = elsewhere(tmp_path)
    restored(other, folder)
    assert rows(other) == rows(saved)


def test_what_was_begun_and_not_finished_goes_after_a_day(saved: Project, folder: Folder) -> None:
    create_backup(saved, folder)
    today = f"{clock.now():%Y%m%dT%H%M%SZ}-00000000"
    for id in ("20200101T000000Z-00000000", today):
        folder.write(id, "pack", print)
    found = read_catalogue(folder)
    assert len(found.manifests) == 1
    assert abandoned(found) == ["20200101T000000Z-00000000"]


def test_an_exact_id_wins_over_those_that_begin_so() -> None:
    one, other = made((2, None), (1, None))
    found = Catalogue({"b1": one, "b10": other}, {}, ("b100",))
    assert found.find("b1") is one
    assert found.find("b10") is other
    with pytest.raises(NotFoundError, match="3 backups begin with 'b'"):
        found.find("b")


class Meanwhile(Folder):
    """A folder in which somebody else does something just before a manifest is written or goes."""

    def __init__(self, path: Path, at: str, act: Callable[[], object]) -> None:
        super().__init__(path)
        self._at = at
        self._act: Callable[[], object] | None = act

    def _happens(self, at: str, *names: str) -> None:
        act = self._act
        if at == self._at and names == ("manifest.json",) and act is not None:
            self._act = None
            act()

    def write(self, id: str, name: str, produce: Callable[[IO[bytes]], object]) -> None:
        self._happens("write", name)
        super().write(id, name, produce)

    def delete(self, id: str, names: tuple[str, ...]) -> None:
        self._happens("delete", *names)
        super().delete(id, names)


def test_what_is_based_on_one_that_goes_meanwhile_is_refused(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    parent = create_backup(saved, folder)
    prune = partial(delete_backups, folder, [parent.id])
    with pytest.raises(BackupError, match=f"{parent.id} was deleted while"):
        create_backup(saved, Meanwhile(folder.path, "write", prune), since="latest")
    assert folder.ids() == []
    create_backup(saved, folder)
    restored(elsewhere(tmp_path), folder)


def test_what_something_is_just_based_on_stays(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    """With all that it is based on itself; others go."""
    alone = create_backup(saved, folder)
    chain = [create_backup(saved, folder)]
    for number in range(2):
        save_plans(saved, f"more-{number}", 5)
        chain.append(create_backup(saved, folder, since=chain[-1].id))
    made: list[Manifest] = []

    def make() -> None:
        save_plans(saved, "last", 5)
        made.append(create_backup(saved, folder, since=chain[-1].id))

    ids = [one.id for one in (*reversed(chain), alone)]
    gone = delete_backups(Meanwhile(folder.path, "delete", make), ids)
    assert gone == [alone.id]
    assert folder.ids() == sorted(one.id for one in (*chain, *made))
    other = elsewhere(tmp_path)
    restored(other, folder)
    assert rows(other) == rows(saved)
