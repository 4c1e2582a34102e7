"""`khive-persist backup …`, as a person and a program use it."""

import json
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.backup.records import rows, save_plans
from tests.cli.conftest import Khive, khive

__all__ = ["khive"]

WITHOUT_EXTRA = """
import sys
for name in ("backports.zstd", "compression.zstd", "pyrage", "obstore"):
    sys.modules[name] = None
from khive_persist.cli.root import run
sys.exit(run(sys.argv[1:]))
"""


def without_extra(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT_EXTRA, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_backup_is_made_listed_verified_and_restored(saved: Project, khive: Khive) -> None:
    before = rows(saved)
    first = khive("backup", "create", "--json").json
    assert (first["kind"], first["rows"], first["stored_as"]) == ("full", 80, "zstd")
    save_plans(saved, "more", 3)
    second = khive("backup", "create", "--since", "latest", "--json").json
    assert (second["kind"], second["parent"]) == ("incremental", first["id"])
    assert khive("backup", "list", "--json").json == {
        "backups": [first, second],
        "damaged": {},
        "unfinished": [],
        "ahead": [],
    }
    assert khive("backup", "list").out.count("zstd") == 2
    assert [one["problems"] for one in khive("backup", "verify", "--json").json] == [[], []]
    done = khive("backup", "restore", first["id"][:24], "--yes", "--json").json
    assert rows(saved) == before
    assert Path(done["set_aside"]).parent == saved.quarantine


def test_what_destroys_wants_a_word(saved: Project, khive: Khive) -> None:
    khive("backup", "create")
    before = rows(saved)
    save_plans(saved, "more", 3)
    done = khive("backup", "restore", "latest")
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert rows(saved) != before
    done = khive("backup", "prune", "--keep-count", "0")
    assert (done.code, "--yes" in done.err) == (2, True)
    dry = khive("backup", "prune", "--keep-count", "0", "--dry-run", "--json").json
    assert len(dry["would_delete"]) == 1
    assert khive("backup", "prune", "--json").json["deleted"] == []
    assert khive("backup", "prune", "--keep-days", "0", "--yes", "--json").json["deleted"]
    assert khive("backup", "list", "--json").json["backups"] == []


def test_an_empty_project_is_restored_without_a_word(
    saved: Project, khive: Khive, tmp_path: Path
) -> None:
    khive("backup", "create", "--destination", str(tmp_path / "kept"))
    other = Project(tmp_path / "fresh")
    other.root.mkdir()
    words = ["backup", "restore", "latest", "--destination", str(tmp_path / "kept")]
    assert run(["--dir", str(other.root), *words]) == 0
    assert rows(other) == rows(saved)


def test_config_toml_is_left_where_there_is_one(saved: Project, khive: Khive) -> None:
    khive("backup", "create")
    saved.config.write_text("[capture]\nlinger_seconds = 7\n")
    done = khive("backup", "restore", "latest", "--yes")
    assert "was left as it is" in done.out
    assert "= 7" in saved.config.read_text()


def test_the_settings_are_the_defaults(saved: Project, khive: Khive) -> None:
    secret = pyrage.x25519.Identity.generate()
    saved.local_config.write_text(
        f"[backup]\ndestination = 'kept'\ncompression = 'none'\nkeep_count = 1\nkeep_days = 0\n"
        f"recipients = ['{secret.to_public()}']\n"
    )
    for _ in range(2):
        assert khive("backup", "create", "--json").json["stored_as"] == "age"
    assert len(list((saved.root / "kept").iterdir())) == 2
    assert len(khive("backup", "prune", "--yes", "--json").json["deleted"]) == 1
    done = khive("backup", "restore", "latest", "--yes")
    assert (done.code, "--identity" in done.err) == (1, True)
    key = saved.root / "key"
    key.write_text(str(secret))
    assert khive("backup", "restore", "latest", "--yes", "--identity", str(key)).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["restore", "latest"], 1, "there is no backup"),
        (["restore", "2020"], 1, "no backup '2020'"),
        (["create", "--since", "latest"], 1, "there is no backup"),
        (["create", "--destination", "ftp://host/x"], 1, "s3://bucket/prefix"),
        (["create", "--destination", "s3://"], 1, "names no bucket"),
        (["create", "--recipient", "/absent"], 1, "No such file"),
        (["create", "--compression", "rar"], 2, "rar"),
        (["create", "--destination", "/dev/null"], 1, "/dev/null"),
    ],
)
def test_what_goes_wrong_is_one_line(
    saved: Project, khive: Khive, words: list[str], code: int, said: str
) -> None:
    done = khive("backup", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_damage_is_said_and_is_no_success(saved: Project, khive: Khive) -> None:
    id = khive("backup", "create", "--json").json["id"]
    pack = saved.khive / "backups" / id / "pack"
    pack.write_bytes(pack.read_bytes()[:-1])
    done = khive("backup", "verify")
    assert (done.code, f"backup {id}: pack has" in done.out) == (1, True)
    before = rows(saved)
    done = khive("backup", "restore", "latest", "--yes")
    assert (done.code, f"backup {id}: pack has" in done.err) == (1, True)
    assert rows(saved) == before
    (saved.khive / "backups" / id / "manifest.json").write_text("{}")
    done = khive("backup", "list")
    assert (done.code, "manifest.json is damaged" in done.out) == (1, True)
    assert khive("backup", "verify").code == 1


def test_a_backup_that_lost_its_manifest_is_not_passed_over(saved: Project, khive: Khive) -> None:
    id = khive("backup", "create", "--json").json["id"]
    (saved.khive / "backups" / id / "manifest.json").unlink()
    assert khive("backup", "list", "--json").json["unfinished"] == [id]
    for words in (["list"], ["verify"]):
        done = khive("backup", *words)
        # It may be one that is being made.
        assert (done.code, f"unfinished: {id} has no manifest" in done.out) == (0, True)
    for words in (["verify", id], ["restore", id, "--yes"]):
        done = khive("backup", *words)
        assert (done.code, f"backup {id}: manifest.json is missing" in done.err) == (1, True)


def test_a_plain_backup_needs_no_extra(saved: Project) -> None:
    root = str(saved.root)
    done = without_extra("--dir", root, "backup", "create", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["stored_as"] == "plain"
    done = without_extra("--dir", root, "backup", "restore", "latest", "--yes")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["create", "--compression", "zstd"],
        ["create", "--recipient", "age1x"],
        ["list", "--destination", "s3://bucket"],
        ["restore", "latest", "--yes"],
    ],
)
def test_a_missing_extra_says_what_to_install(
    saved: Project, khive: Khive, words: list[str]
) -> None:
    khive("backup", "create", "--compression", "zstd")
    done = without_extra("--dir", str(saved.root), "backup", *words)
    assert done.returncode == 1
    assert "pip install 'khive-persist[backup]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(list((saved.khive / "backups").iterdir())) == 1
