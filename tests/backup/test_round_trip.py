"""What was backed up comes back, row for row, however it was stored."""

import os
import re
import stat
from pathlib import Path

import pyrage
import pytest

from khive_persist.capture.spool import Spool
from khive_persist.errors import BackupError, KhiveError
from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.coding import Coding
from khive_persist.maintenance.backup.create import create_backup
from khive_persist.maintenance.backup.destination import open_destination
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.keys import read_identities, read_recipients
from khive_persist.maintenance.backup.verify import verify_backups
from khive_persist.project import Project
from tests.backup.records import elsewhere, mirror, restored, rows, save_plans


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, Path]:
    """A public key, and the file with its secret one as `age-keygen` writes it."""
    secret = pyrage.x25519.Identity.generate()
    file = tmp_path / "key.txt"
    file.write_text(f"# created: 2026\n# public key: {secret.to_public()}\n{secret}\n")
    return str(secret.to_public()), file


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_all_rows_files_and_settings_come_back(
    saved: Project, folder: Folder, tmp_path: Path, compression: object
) -> None:
    made = create_backup(saved, folder, coding=Coding(compression))  # type: ignore[arg-type]
    assert (made.rows, made.mirror_files) == (80, 4)
    other = elsewhere(tmp_path)
    done = restored(other, folder)
    assert rows(other) == rows(saved)
    assert mirror(other) == mirror(saved)
    assert other.config.read_bytes() == saved.config.read_bytes()
    assert (done.set_aside, done.config_kept) == (None, False)
    assert not list(other.quarantine.iterdir())


def test_the_same_bytes_are_stored_once(saved: Project, folder: Folder) -> None:
    made = create_backup(saved, folder)
    # 400,000 equal bytes of the mirror are a few equal pieces.
    assert made.pack.content_bytes < made.content_bytes - 100_000


def test_what_waited_in_the_spool_is_in_the_backup(
    project: Project, folder: Folder, tmp_path: Path
) -> None:
    event = Spool(project).accept("codex", b'{"hook_event_name":"Stop","session_id":"s"}')
    create_backup(project, folder)
    other = elsewhere(tmp_path)
    restored(other, folder)
    assert [row[0] for row in rows(other)["codex_hooks.db"]] == [event.id]


def test_an_event_that_cannot_be_drained_is_not_left_out_in_silence(
    project: Project, folder: Folder
) -> None:
    Spool(project).accept("codex", b"{}")
    project.database("codex_hooks.db").write_bytes(b"no database" * 1000)
    with pytest.raises(BackupError, match="1 events wait in"):
        create_backup(project, folder)
    assert folder.ids() == []


def test_a_damaged_database_makes_no_backup(saved: Project, folder: Folder) -> None:
    path = saved.database("planner_sessions.db")
    content = bytearray(path.read_bytes())
    content[20_000:60_000] = os.urandom(40_000)
    path.write_bytes(content)
    with pytest.raises(KhiveError):
        create_backup(saved, folder)
    assert folder.ids() == []


def test_a_chain_of_incremental_backups_comes_back(
    saved: Project, folder: Folder, tmp_path: Path
) -> None:
    states = []
    made = []
    for number in range(4):
        save_plans(saved, f"more-{number}", 40)
        (saved.khive / "sessions" / f"planner_session_2026_11_22_{number:08}.json").write_text("{}")
        made.append(create_backup(saved, folder, since="latest" if number else ""))
        states.append((rows(saved), mirror(saved)))
    assert [one.kind for one in made] == ["full", *["incremental"] * 3]
    assert [one.parent for one in made] == [None, *(one.id for one in made[:3])]
    for number, one in enumerate(made):
        other = elsewhere(tmp_path, str(number))
        restored(other, folder, one.id)
        assert (rows(other), mirror(other)) == states[number]


def test_an_incremental_backup_stores_what_changed(saved: Project, folder: Folder) -> None:
    save_plans(saved, "many", 2_000)
    full = create_backup(saved, folder)
    unchanged = create_backup(saved, folder, since="latest")
    assert unchanged.pack.bytes == 0
    save_plans(saved, "one", 1)
    changed = create_backup(saved, folder, since=full.id)
    assert 0 < changed.pack.bytes < full.pack.bytes / 5


def test_an_encrypted_backup_needs_its_key(
    saved: Project, folder: Folder, tmp_path: Path, keys: tuple[str, Path]
) -> None:
    public, file = keys
    made = create_backup(saved, folder, coding=Coding("zstd", read_recipients((public,))))
    assert made.encryption == "age"
    stored = b"".join(path.read_bytes() for path in folder.path.rglob("*") if path.is_file())
    assert b"task_description" not in stored
    assert b"planner_session_2026" not in stored
    other = elsewhere(tmp_path)
    with pytest.raises(BackupError, match="--identity"):
        restored(other, folder)
    stranger = (pyrage.x25519.Identity.generate(),)
    with pytest.raises(BackupError, match="none of these identities"):
        restored(other, folder, identities=stranger)
    assert not list(other.khive.glob("*.db"))
    restored(other, folder, identities=read_identities((str(file),)))
    assert rows(other) == rows(saved)
    catalogue = read_catalogue(folder)
    assert verify_backups(folder, catalogue, catalogue.manifests)[0].problems == ()


def test_an_encrypted_chain_comes_back(
    saved: Project, folder: Folder, tmp_path: Path, keys: tuple[str, Path]
) -> None:
    public, file = keys
    coding = Coding("none", read_recipients((public,)))
    create_backup(saved, folder, coding=coding)
    save_plans(saved, "more", 5)
    with pytest.raises(BackupError, match="--identity"):
        create_backup(saved, folder, coding=coding, since="latest")
    identities = read_identities((str(file),))
    create_backup(saved, folder, coding=coding, since="latest", identities=identities)
    other = elsewhere(tmp_path)
    restored(other, folder, identities=identities)
    assert rows(other) == rows(saved)


def test_keys_are_read_from_files_and_refused_where_they_are_none(
    tmp_path: Path, keys: tuple[str, Path]
) -> None:
    public, _ = keys
    file = tmp_path / "recipients"
    file.write_text(f"# team\n{public}\n\n{public}\n")
    assert len(read_recipients((str(file), public))) == 3
    with pytest.raises(BackupError, match="no age recipient"):
        read_recipients(("age1nonsense",))
    with pytest.raises(BackupError, match="No such file"):
        read_recipients((str(tmp_path / "absent"),))
    file.write_text("SECRET-WORDS")
    with pytest.raises(BackupError) as raised:
        read_identities((str(file),))
    assert "SECRET-WORDS" not in str(raised.value)


def test_all_that_is_made_is_private(saved: Project, folder: Folder) -> None:
    before = os.umask(0)
    try:
        create_backup(saved, folder)
        restored(saved, folder)
    finally:
        os.umask(before)
    quarantined = set(saved.quarantine.rglob("sessions/*"))
    made = {*saved.khive.rglob("*")} - quarantined - {saved.config}
    assert len(made) > 20
    for path in made:
        if path == saved.khive / "id":
            continue
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_folder_is_made_for_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    id = "20261121T000000Z-00000000"
    before = os.umask(0o777)
    try:
        folder.write(id, "pack", lambda file: file.flush())
    finally:
        os.umask(before)
    paths = (folder.path, folder.path / id, folder.path / id / "pack")
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o700, 0o600]


def test_a_folder_that_was_there_keeps_its_mode(saved: Project, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "shared")
    folder.path.mkdir()
    folder.path.chmod(0o750)
    create_backup(saved, folder)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o750


def test_a_folder_that_cannot_be_made_is_an_error_of_the_backup(
    saved: Project, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below", "absent/below"):
        with pytest.raises(BackupError, match=f"{name}.*(Not a dir|No such)"):
            create_backup(saved, Folder(tmp_path / name))


def test_a_bucket_keeps_backups_as_a_folder_does(
    saved: Project, bucket: str, tmp_path: Path, keys: tuple[str, Path]
) -> None:
    public, file = keys
    target = open_destination(saved, f"s3://{bucket}/team/backups")
    save_plans(saved, "many", 2_000)
    create_backup(saved, target)
    save_plans(saved, "more", 10)
    coding = Coding("zstd", read_recipients((public,)))
    last = create_backup(saved, target, since="latest", coding=coding)
    other = elsewhere(tmp_path)
    restored(other, target, identities=read_identities((str(file),)))
    assert rows(other) == rows(saved)
    catalogue = read_catalogue(target)
    assert [one.problems for one in verify_backups(target, catalogue, catalogue.manifests)] == [
        (),
        (),
    ]
    target.delete(last.id, ("pack",))
    found = verify_backups(target, catalogue, [last.id])[0].problems
    assert found == (f"backup {last.id}: pack is missing",)
    target.delete(last.id, ("manifest.json", "index"))
    assert target.ids() == [last.parent]


def test_a_bucket_that_cannot_be_used_is_said_in_a_line_of_words(
    saved: Project, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = open_destination(saved, "s3://no-such-bucket")
    with pytest.raises(BackupError) as raised:
        missing.ids()
    assert str(raised.value) == (
        "s3://no-such-bucket: NoSuchBucket: The specified bucket does not exist"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupError) as raised:
        create_backup(saved, open_destination(saved, f"s3://{bucket}"))
    assert re.match(
        r"s3://plans: PUT http://127\.0\.0\.1:9/plans/\S+ in [^\n<]*$", str(raised.value)
    )
    assert not list((saved.khive / "staging").iterdir())


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "nonsense://host", "http://", "http://host:99999", "http://[::1"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str, saved: Project) -> None:
    with pytest.raises(BackupError, match="is no address of an S3 service"):
        open_destination(saved, "s3://bucket", endpoint)
