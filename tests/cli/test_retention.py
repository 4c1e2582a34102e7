"""`prune`, `purge` and `redact`, as a person calls them."""

import pytest

from khive_persist.project import Project
from tests.cli.conftest import Khive
from tests.retention.events import contents, put_events

OLD, NEW = 4_000, -4_000


def test_prune_wants_a_word_of_what_is_kept_and_a_yes(project: Project, khive: Khive) -> None:
    put_events(project, OLD)
    assert khive("prune", "--yes").code == 2
    refused = khive("prune", "--keep-count", "0")
    assert refused.code == 2
    assert refused.err.strip().endswith("say --yes")
    assert len(contents(project)) == 1


def test_prune_by_options_and_by_rules(project: Project, khive: Khive) -> None:
    put_events(project, OLD, NEW)
    put_events(project, OLD, tool="gemini-cli")
    done = khive("prune", "--keep-age", "52w", "--tool", "codex", "--dry-run", "--json")
    assert done.json["purposes"]["codex_hooks"]["removed"] == 1
    assert khive("prune", "--keep-age", "52w", "--tool", "codex", "--yes").code == 0
    assert len(contents(project)) == 1
    assert len(contents(project, "gemini_hooks.db")) == 1
    project.local_config.write_text("[retention]\nrules = ['gemini_hooks keep_count=0']\n")
    assert "gemini_hooks" in khive("prune", "--dry-run").out
    assert khive("prune", "--yes").code == 0
    assert contents(project, "gemini_hooks.db") == {}
    assert len(contents(project)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--keep-age", "3"),
        ("--keep-bytes", "2XB"),
        ("--keep-count", "-1"),
        ("--keep-count", "1", "--purpose", "nothing"),
        ("--keep-count", "1", "--purpose", "codex_hooks", "--tool", "codex"),
    ],
)
def test_prune_refuses_what_is_wrong_in_one_line(khive: Khive, words: tuple[str, ...]) -> None:
    done = khive("prune", "--yes", *words)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1


def test_rules_that_are_wrong_are_named(project: Project, khive: Khive) -> None:
    for rule in ("x keep_count=1", "codex_hooks older=1d"):
        project.local_config.write_text(f"[retention]\nrules = ['{rule}']\n")
        done = khive("prune", "--yes")
        assert done.code == 1
        assert "retention.rules" in done.err


def test_purge_asks_removes_and_says_what_it_did(project: Project, khive: Khive) -> None:
    put_events(project, 1, 2, session_id="to-go")
    put_events(project, 1, session_id="stays")
    assert khive("purge", "--session", "to-go").code == 2
    assert khive("purge", "--session", "to-go", "--dry-run").out == (
        "2 records of codex_hooks would be removed\n"
    )
    assert khive("purge", "--session", "to-go", "--yes").code == 0
    assert len(contents(project)) == 1
    again = khive("purge", "--session", "to-go", "--yes")
    assert again.code == 1
    assert "no record of session to-go" in again.err


def test_purge_says_that_backups_have_it(project: Project, khive: Khive) -> None:
    put_events(project, 1, session_id="to-go")
    assert khive("backup", "create").code == 0
    (backup,) = project.backups.iterdir()
    done = khive("purge", "--session", "to-go", "--yes")
    assert done.code == 1
    assert done.err == f"khive-persist: {backup} was made before and may have it\n"


def test_redact_rescan_and_a_file(project: Project, khive: Khive) -> None:
    token = "ghp_" + "A1b2C3d4" * 4 + "E5f6"
    project.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(project, 1, command=token)
    assert khive("redact").code == 2
    assert khive("redact", "--rescan").code == 2
    done = khive("redact", "--rescan", "--dry-run", "--json").json
    assert done["purposes"]["codex_hooks"]["kinds"] == {"github_token": 1}
    assert token in str(contents(project))
    assert khive("redact", "--rescan", "--yes").code == 0
    assert token not in str(contents(project))
    file = project.root / "notes.txt"
    file.write_text(f"use {token}\n")
    assert khive("redact", str(file)).err == "1 github_token\n"
