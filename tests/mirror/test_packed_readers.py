"""Whoever reads `sessions/` knows packed streams, and says which of them are damaged."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from khive_persist.copies import mirrored
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.doctor.report import examine
from khive_persist.mirror.rebuild import rebuild_databases, rebuild_mirror
from khive_persist.mirror.verify import compared
from khive_persist.project import Project
from tests.backup.records import elsewhere, restored
from tests.exchange.rows import read, stored
from tests.factories import save, save_many
from tests.mirror.records import event, plan
from tests.mirror.test_packing import PACKED, STREAM, are_equal, packed


@pytest.fixture
def filled(project: Project) -> Project:
    """A session that is packed, with one late event beside; and a plan."""
    save_many(project, [event(f"e{number}", text="x" * 400 * number) for number in range(40)])
    save(project, plan("p1"))
    packed(project)
    save(project, event("late"))
    return project


def damage_by_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_in_the_middle(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(bytes(raw))


def damage_by_another_sum(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 1
    path.write_bytes(bytes(raw))


def damage_by_garbage(path: Path) -> None:
    path.write_bytes(b"no gzip at all\n")


def damage_by_an_end(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


DAMAGES = [
    damage_by_cut, damage_in_the_middle, damage_by_another_sum, damage_by_garbage, damage_by_an_end
]  # fmt: skip


def problems(project: Project) -> list[tuple[str, str]]:
    with compared(project, mirrored(project)) as comparison:
        assert not comparison.is_equal
        return [(one.kind, one.file) for one in comparison.ledger.problems()]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_mended_from_the_database(
    damage: Callable[[Path], None], filled: Project
) -> None:
    damage(filled.sessions / PACKED)
    assert ("damaged", STREAM) in problems(filled)
    report = anyio.run(examine, filled)
    assert [PACKED in problem for problem in report.problems] == [True]
    done = rebuild_mirror(filled, mirrored(filled))
    assert done.is_equal
    assert done.set_aside is not None
    assert sorted(os.listdir(done.set_aside)) == [STREAM, PACKED]
    assert not (filled.sessions / PACKED).exists()
    assert are_equal(filled)
    assert anyio.run(examine, filled).problems == []
    packed(filled)
    assert are_equal(filled)


def test_databases_are_made_anew_from_both_forms(filled: Project) -> None:
    for path in filled.khive.glob("claude_hooks.db*"):
        path.unlink()
    done = rebuild_databases(filled, mirrored(filled))
    assert done.is_equal
    assert done.tallies["claude_hooks"].rows == 41


def test_a_backup_has_both_forms(filled: Project, tmp_path: Path) -> None:
    folder = Folder(filled.khive / "backups")
    assert create_backup(filled, folder).mirror_files == 3
    other = elsewhere(tmp_path)
    restored(other, folder)
    assert sorted(os.listdir(other.sessions))[:2] == [STREAM, PACKED]
    assert are_equal(other)


def test_the_mirror_of_another_project_is_imported(filled: Project, tmp_path: Path) -> None:
    save(filled, event("e3", text="the late one counts"))
    other = elsewhere(tmp_path)
    assert read(other, filled.sessions).purposes["claude_hooks"].new == 41
    rows = stored(other.database("claude_hooks.db"), "hook_events")
    assert rows == stored(filled.database("claude_hooks.db"), "hook_events")


def test_a_packed_file_is_imported_by_itself(filled: Project, tmp_path: Path) -> None:
    other = elsewhere(tmp_path)
    assert read(other, filled.sessions / PACKED).purposes["claude_hooks"].new == 40
    broken = tmp_path / PACKED
    broken.write_bytes((filled.sessions / PACKED).read_bytes()[:-20])
    done = read(elsewhere(tmp_path, "third"), broken)
    assert [where for where, _ in done.listed] == [PACKED]


@pytest.mark.parametrize("damage", [damage_by_cut, damage_by_garbage])
def test_a_damaged_session_without_late_events_is_mended(
    damage: Callable[[Path], None], filled: Project
) -> None:
    packed(filled)
    damage(filled.sessions / PACKED)
    assert ("damaged", STREAM) in problems(filled)
    assert rebuild_mirror(filled, mirrored(filled)).is_equal
    assert [path.name for path in filled.sessions.glob("hook_events*")] == [STREAM]


def test_an_event_that_comes_to_a_damaged_session_is_kept(filled: Project) -> None:
    packed(filled)
    damage_by_garbage(filled.sessions / PACKED)
    save(filled, event("latest"))
    # Whose file that was cannot be told, and its name is taken.
    assert ("damaged", STREAM) in problems(filled)
    assert rebuild_mirror(filled, mirrored(filled)).is_equal
    assert are_equal(filled)
