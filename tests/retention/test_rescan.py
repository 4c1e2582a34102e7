"""Redact --rescan: secrets that were stored are taken out, to the last byte."""

import base64
import json
import sqlite3
from contextlib import closing

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.place import Place
from khive_persist.purposes import BUILT_IN, HOOK_EVENTS
from khive_persist.redaction import Redactor
from khive_persist.retention.rescan import Rescanned, rescan
from khive_persist.settings import Settings
from tests.retention.events import are_equal, contents, files_with, put_events, put_plans

TOKEN = "ghp_" + "A1b2C3d4" * 4 + "E5f6"
REDACTOR = Redactor(b"key")
CODEX = HOOK_EVENTS["codex"]


def stored_with_secrets(place: Place) -> None:
    place.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(place, 3, 2, command=f"git clone {TOKEN}")
    put_events(place, 1)
    put_plans(place, [f"plan of {TOKEN}", "without"])
    Spool(place).accept("codex", b"\xff\xfe no JSON, with " + TOKEN.encode())
    drain(place)


def run(place: Place, *, dry_run: bool = False) -> list[Rescanned]:
    return [rescan(place, one, REDACTOR, Settings(), dry_run=dry_run) for one in BUILT_IN]


def test_secrets_go_from_both_copies_and_are_counted(place: Place) -> None:
    stored_with_secrets(place)
    assert files_with(place, TOKEN.encode())
    plans, _, codex, *_ = run(place)
    assert (plans.looked_at, plans.changed, plans.kinds) == (2, 1, {"github_token": 2})
    assert (codex.looked_at, codex.changed, codex.kinds) == (4, 3, {"github_token": 3})
    assert files_with(place, TOKEN.encode()) == []
    assert files_with(place, base64.b64encode(TOKEN.encode())[4:-8]) == []
    assert are_equal(place)
    commands = [content.get("command") for content in contents(place).values()]
    assert sum("[REDACTED:github_token:" in str(command) for command in commands) == 2


def test_a_dry_run_shows_counts_and_changes_nothing(place: Place) -> None:
    stored_with_secrets(place)
    before = contents(place)
    plans, claude, codex, *others = run(place, dry_run=True)
    assert (plans.kinds, claude.kinds, codex.kinds) == (
        {"github_token": 2},
        {},
        {"github_token": 3},
    )
    assert all(one.kinds == {} for one in others)
    assert contents(place) == before


def test_a_second_time_finds_nothing(place: Place) -> None:
    stored_with_secrets(place)
    run(place)
    before = contents(place)
    assert all(not one.changed and not one.kinds for one in run(place))
    assert contents(place) == before


def test_counts_of_before_stay(place: Place) -> None:
    """A row that was redacted, and in which another kind is found later."""
    put_events(place, 1, command=f"git clone {TOKEN}")
    (content,) = contents(place).values()
    assert "REDACTED" in content["command"]
    place.local_config.write_text("[redaction]\nenabled = false\n")
    put_events(place, 2, command="x", output=json.dumps({"password": "hunter2-s3cret"}))
    run(place)
    with closing(sqlite3.connect(place.database(CODEX.file))) as connection:
        rows = connection.execute("SELECT node_metadata FROM hook_events ORDER BY created_at")
        found = [json.loads(text).get("redacted") for (text,) in rows]
    assert found == [{"password": 1}, {"github_token": 1}]


def test_a_preview_that_ends_within_a_secret_is_made_anew(place: Place) -> None:
    place.make()
    place.local_config.write_text("[redaction]\nenabled = false\n")
    for cut in (10, 30):
        text = "x " * 100
        response = {"stdout": text[cut:] + TOKEN + " and more", "stderr": "", "n": 1.50}
        payload = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "session_id": "s"}
        raw = json.dumps(payload | {"tool_response": response})
        Spool(place).accept("claude-code", raw.encode())
    drain(place)
    assert files_with(place, TOKEN[:9].encode())
    run(place)
    assert files_with(place, TOKEN[:9].encode()) == []
    for content in contents(place, "claude_hooks.db").values():
        assert len(content["output"]) == 200
        assert "[REDACTED:" in content["payload"]["tool_response"]["stdout"]
    # What the tool sent is as it was, but for the secret.
    assert files_with(place, b'"n": 1.5}')
    assert are_equal(place)
