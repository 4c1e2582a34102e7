"""Backups that are not as they were written, and some that were written to do harm."""

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from backports import zstd

from khive_persist.errors import (
    BackupDamagedError,
    BackupError,
    NotFoundError,
    StoreFullError,
    StoreNewerError,
)
from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.coding import Coding
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.maintenance.backup.verify import verify_backups
from khive_persist.project import Project
from tests.backup.records import elsewhere, restored, rows, save_plans

SECRET = pyrage.x25519.Identity.generate()
CODINGS = {
    "plain": Coding("none"),
    "zstd": Coding("zstd"),
    "age": Coding("zstd", (SECRET.to_public(),)),
}
Document = dict[str, Any]


def chain(project: Project, folder: Folder, coding: Coding) -> Manifest:
    create_backup(project, folder, coding=coding, identities=(SECRET,))
    save_plans(project, "more", 30)
    return create_backup(project, folder, since="latest", coding=coding, identities=(SECRET,))


def refused(project: Project, folder: Folder, last: Manifest, other: Project) -> str:
    """What a restore says; it must have changed nothing."""
    with pytest.raises((BackupDamagedError, NotFoundError)) as raised:
        restored(other, folder, last.id, identities=(SECRET,))
    assert sorted(other.khive.glob("*.db")) == []
    return str(raised.value)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "rounds", [pytest.param(6, id="a few"), pytest.param(200, id="many", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("coding", CODINGS)
def test_flipped_bits_and_cut_ends_are_found_and_named(
    saved: Project, folder: Folder, tmp_path: Path, coding: str, rounds: int
) -> None:
    last = chain(saved, folder, CODINGS[coding])
    other = elsewhere(tmp_path)
    other.make()
    objects = sorted(path for path in folder.path.rglob("*") if path.is_file())
    assert len(objects) == 6
    some = random.Random()
    for path in objects * rounds:
        whole = path.read_bytes()
        at = some.randrange(len(whole))
        if some.random() < 0.3:
            path.write_bytes(whole[:at])
        else:
            flipped = whole[at] ^ 1 << some.randrange(8)
            path.write_bytes(whole[:at] + bytes([flipped]) + whole[at + 1 :])
        catalogue = read_catalogue(folder)
        id = path.parent.name
        found = verify_backups(folder, catalogue, [*catalogue.manifests, *catalogue.damaged])
        problems = {one.id: " ".join(one.problems) for one in found}
        assert f"backup {id}: {path.name}" in problems[id], (path, at)
        # What is based on a damaged one cannot be restored either.
        assert f"backup {id}: {path.name}" in problems[last.id]
        assert id in refused(saved, folder, last, other)
        path.write_bytes(whole)
    restored(other, folder, last.id, identities=(SECRET,))
    assert rows(other) == rows(saved)


def test_what_stands_after_the_end_is_found(saved: Project, folder: Folder, tmp_path: Path) -> None:
    last = chain(saved, folder, CODINGS["age"])
    for name in ("pack", "index", "manifest.json"):
        path = folder.path / last.id / name
        whole = path.read_bytes()
        path.write_bytes(whole + b" ")
        refused(saved, folder, last, elsewhere(tmp_path, name))
        path.write_bytes(whole)


def test_a_missing_object_or_parent_is_named(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    last = chain(saved, folder, CODINGS["plain"])
    assert last.parent is not None
    (folder.path / last.parent / "pack").unlink()
    assert f"{last.parent}: pack is missing" in refused(
        saved, folder, last, elsewhere(tmp_path, "a")
    )
    folder.delete(last.parent, ("manifest.json", "index", "pack"))
    assert "is missing" in refused(saved, folder, last, elsewhere(tmp_path, "b"))


def test_a_link_in_place_of_an_object_is_not_followed(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    last = chain(saved, folder, CODINGS["plain"])
    pack = folder.path / last.id / "pack"
    pack.rename(tmp_path / "pack")
    pack.symlink_to(tmp_path / "pack")
    assert "symbolic link" in refused(saved, folder, last, elsewhere(tmp_path))
    pack.unlink()
    os.mkfifo(pack)
    assert "is no file" in refused(saved, folder, last, elsewhere(tmp_path, "other"))


def sign(folder: Folder, id: str, inner: Document) -> None:
    """Write a manifest whose own digest is right."""
    compact = json.dumps(inner, separators=(",", ":"), ensure_ascii=False).encode()
    document = {"manifest": inner, "sha256": hashlib.sha256(compact).hexdigest()}
    text = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    (folder.path / id / "manifest.json").write_bytes(text)


def forge(
    folder: Folder,
    id: str,
    change: Callable[[Document], object] = len,
    change_index: Callable[[list[Document]], object] = len,
) -> None:
    """Change a plain backup, and make all its digests right again."""
    inner = json.loads((folder.path / id / "manifest.json").read_bytes())["manifest"]
    path = folder.path / id / "index"
    document = json.loads(path.read_bytes())
    change_index(document["files"])
    content = json.dumps(document).encode()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    inner["index"] = {"bytes": len(content), "sha256": digest, "content_bytes": len(content)}
    change(inner)
    sign(folder, id, inner)


def test_the_forger_works(saved: Project, folder: Folder, tmp_path: Path) -> None:
    """Or what follows would be refused for a reason of its own."""
    made = create_backup(saved, folder)
    forge(folder, made.id)
    restored(elsewhere(tmp_path), folder)


def rename(name: str) -> dict[str, Any]:
    return {
        "change": lambda manifest: manifest["files"][0].update(name=name),
        "change_index": lambda files: files[0].update(name=name),
    }


def rename_mirror(name: str) -> dict[str, Any]:
    return {"change_index": lambda files: files[-1].update(name=name)}


def mirror_of(files: list[Document]) -> list[Document]:
    return [file for file in files if "/" in file["name"]]


def twice(manifest: Document) -> None:
    manifest["files"].append(manifest["files"][0])


HOSTILE: dict[str, dict[str, Any]] = {
    "a name above": rename("../planner_sessions.db"),
    "an absolute name": rename("/tmp/planner_sessions.db"),
    "a name with a zero": rename("a\0.db"),
    "a hidden name": rename(".hidden.db"),
    "a name of another kind": rename("spool"),
    "a lock's name": rename("planner_sessions.db.lock"),
    "a name in the mirror's place": rename("sessions"),
    "a mirror name above": rename_mirror("sessions/../../x"),
    "a mirror name of a folder": rename_mirror("sessions/.."),
    "a mirror name below": rename_mirror("sessions/a/b"),
    "a mirror name elsewhere": rename_mirror("spool/00000000000000000001.event"),
    "an empty mirror name": rename_mirror("sessions/"),
    "a database twice": {"change": twice, "change_index": lambda files: files.append(files[0])},
    "a database twice in other letters": {
        "change": lambda m: m["files"].append(m["files"][0] | {"name": "CLAUDE_hooks.db"}),
        "change_index": lambda files: files.append(files[0] | {"name": "CLAUDE_hooks.db"}),
    },
    "a database twice in the manifest": {"change": twice},
    "a database twice in the index": {"change_index": lambda files: files.append(files[0])},
    "a mirror file twice": {
        # The first of them is empty.
        "change": lambda m: m.update(mirror_files=m["mirror_files"] + 1),
        "change_index": lambda files: files.append(mirror_of(files)[1]),
    },
    "a negative size": {"change_index": lambda files: files[-1].update(bytes=-1)},
    "a size that is no number": {"change_index": lambda files: files[-1].update(bytes=True)},
    "more pieces than bytes": {"change_index": lambda files: files[-1].update(pieces="AAAA" * 32)},
    "half a digest": {"change_index": lambda files: files[-1].update(sha256="00")},
    "a file more": {"change_index": lambda files: files.append(files[-1] | {"name": "sessions/a"})},
    "a file less": {"change_index": lambda files: files.pop()},
    "a field more": {"change": lambda m: m.update(command="rm")},
    "a field less": {"change": lambda m: m.pop("pack")},
    "another id": {"change": lambda m: m.update(id="20261121T000000Z-00000000")},
    "a parent that is a path": {"change": lambda m: m.update(kind="incremental", parent="../..")},
    "itself as parent": {"change": lambda m: m.update(kind="incremental", parent=m["id"])},
    "a parent of a full one": {"change": lambda m: m.update(parent=m["id"])},
    "no parent of an incremental one": {"change": lambda m: m.update(kind="incremental")},
    "an unknown compression": {"change": lambda m: m.update(compression="zip")},
    "a time that is none": {"change": lambda m: m.update(created_at="yesterday")},
    "a format that is none": {"change": lambda m: m.update(format="one")},
    "a database that nobody would check": {"change": lambda m: m["files"][0].update(rows=None)},
    "a database without a version": {
        "change": lambda m: m["files"][0].update(schema_version=None),
    },
    "other rows": {"change": lambda m: m["files"][0]["rows"].update(hook_events=19)},
    "a pack of another size": {"change": lambda m: m["pack"].update(content_bytes=5)},
    "a piece that no pack has": {
        "change_index": lambda files: files[-1].update(bytes=3, sha256="00" * 32, pieces="")
    },
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_a_hostile_backup_is_refused_and_writes_nothing(
    saved: Project, folder: Folder, tmp_path: Path, harm: str
) -> None:
    made = create_backup(saved, folder)
    forge(folder, made.id, **HOSTILE[harm])
    other = elsewhere(tmp_path)
    other.make()
    before = sorted(tmp_path.rglob("*"))
    refused(saved, folder, made, other)
    grown = set(tmp_path.rglob("*")) - set(before)
    assert grown <= {other.khive / "staging"}


def test_a_piece_that_is_not_what_the_index_says_is_refused(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    made = create_backup(saved, folder)
    path = folder.path / made.id / "pack"
    # The end of the pack is the end of a small file.
    pack = path.read_bytes()[:-2] + b"??"
    path.write_bytes(pack)
    forge(folder, made.id, lambda m: m["pack"].update(sha256=hashlib.sha256(pack).hexdigest()))
    assert "a piece is another" in refused(saved, folder, made, elsewhere(tmp_path))


def test_a_format_of_tomorrow_is_refused(saved: Project, folder: Folder, tmp_path: Path) -> None:
    made = create_backup(saved, folder)
    forge(folder, made.id, lambda m: m.update(format=2))
    assert "upgrade" in refused(saved, folder, made, elsewhere(tmp_path))


def test_a_changed_digit_is_not_taken_for_a_format_of_tomorrow(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    made = create_backup(saved, folder)
    path = folder.path / made.id / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 3'))
    assert "not as it was written" in refused(saved, folder, made, elsewhere(tmp_path))


def test_a_schema_of_tomorrow_is_refused(saved: Project, folder: Folder, tmp_path: Path) -> None:
    made = create_backup(saved, folder)
    forge(folder, made.id, lambda m: m["files"][0].update(schema_version=999))
    with pytest.raises(StoreNewerError, match="upgrade"):
        restored(elsewhere(tmp_path), folder)


def test_more_than_the_disk_has_is_refused(saved: Project, folder: Folder, tmp_path: Path) -> None:
    made = create_backup(saved, folder)
    forge(folder, made.id, lambda m: m["files"][0].update(bytes=1 << 60))
    with pytest.raises(StoreFullError, match="free"):
        restored(elsewhere(tmp_path), folder)


@pytest.mark.parametrize("name", ["index", "pack"])
def test_a_bomb_is_stopped_at_the_size_that_was_declared(
    saved: Project, folder: Folder, tmp_path: Path, name: str
) -> None:
    made = create_backup(saved, folder, coding=Coding("zstd"))
    bomb = zstd.compress(b" " * (1 << 28))
    assert len(bomb) < 50_000
    (folder.path / made.id / name).write_bytes(bomb)
    inner = json.loads((folder.path / made.id / "manifest.json").read_bytes())["manifest"]
    inner[name].update(bytes=len(bomb), sha256=hashlib.sha256(bomb).hexdigest())
    sign(folder, made.id, inner)
    before = peak_bytes()
    said = refused(saved, folder, made, elsewhere(tmp_path))
    assert "more than" in said or "not as it was written" in said
    assert peak_bytes() - before < 64 << 20


def peak_bytes() -> int:
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024


def test_an_index_that_declares_too_much_is_not_read(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    made = create_backup(saved, folder)
    forge(folder, made.id, lambda m: m["index"].update(content_bytes=1 << 40))
    assert "too large" in refused(saved, folder, made, elsewhere(tmp_path))


def test_what_another_name_lies_under_is_no_backup(saved: Project, folder: Folder) -> None:
    made = create_backup(saved, folder)
    for name in ("notes", "..20261121T000000Z-00000000", "20261121T000000Z-0000000g"):
        (folder.path / name).mkdir()
    assert folder.ids() == [made.id]
    (folder.path / made.id).rename(folder.path / "20261121T000000Z-00000000")
    catalogue = read_catalogue(folder)
    with pytest.raises(BackupError, match="not as it was written"):
        catalogue.find("20261121T000000Z-00000000")
