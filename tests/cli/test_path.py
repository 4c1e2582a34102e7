"""`path`: which .khive is used, and why that one."""

import json
from pathlib import Path

import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from tests.factories import make_project


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([*words])
    return code, *capsys.readouterr()


def test_each_way_to_a_khive_is_named(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = make_project(tmp_path / "project")
    below = project.root / "src"
    below.mkdir()
    monkeypatch.chdir(below)
    code, out, err = asked(capsys, "path")
    assert (code, out) == (0, f"{project.khive}\n")
    assert err == f"the nearest upward from {below}; trusted\n"

    other = make_project(tmp_path / "other")
    code, out, err = asked(capsys, "path", "--dir", str(other.root))
    assert (code, out, err) == (0, f"{other.khive}\n", f"--dir names {other.root}; trusted\n")
    monkeypatch.setenv("KHIVE_DIR", str(other.root))
    assert asked(capsys, "path")[2] == f"KHIVE_DIR names {other.root}; trusted\n"
    monkeypatch.delenv("KHIVE_DIR")

    monkeypatch.chdir(tmp_path)
    code, out, err = asked(capsys, "path")
    assert (code, out) == (1, f"{home / '.khive'}\n") or (code, out) == (0, f"{home / '.khive'}\n")
    assert err.startswith(f"the home's: there is none of yours upward from {tmp_path}; ")

    code, out, err = asked(capsys, "--dir", str(tmp_path / "none"), "path")
    assert (code, out) == (1, f"{tmp_path / 'none' / '.khive'}\n")
    assert "not there yet" in err


def test_one_that_is_not_trusted_is_said_to_be_passed_over_and_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    above = make_project(tmp_path / "above")
    cloned = Project(above.root / "cloned")
    (cloned.khive / "sessions").mkdir(parents=True)
    (cloned.khive / "sessions" / "planted.json").write_text("{}")
    monkeypatch.chdir(cloned.root)
    code, out, err = asked(capsys, "path")
    assert (code, out) == (0, f"{above.khive}\n")
    first, second = err.splitlines()
    assert first == f"the next one above {cloned.khive}, which is passed over; trusted"
    assert second.startswith(f"{cloned.khive} is not trusted")
    code, out, err = asked(capsys, "path", "--dir", str(cloned.root), "--json")
    shown = json.loads(out)
    assert (code, err) == (1, "")
    assert (shown["source"], shown["state"], shown["is_usable"]) == ("option", "untrusted", False)
    assert "trust" in shown["problem"]
    assert not (cloned.khive / "id").exists()


def test_one_that_holds_settings_alone_is_named_and_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Project(tmp_path / "bare")
    bare.khive.mkdir(parents=True)
    bare.config.write_text("")
    monkeypatch.chdir(bare.root)
    code, out, err = asked(capsys, "path")
    assert (code, out) == (0, f"{bare.khive}\n")
    assert "holds settings alone" in err
    assert [path.name for path in bare.khive.iterdir()] == ["config.toml"]
