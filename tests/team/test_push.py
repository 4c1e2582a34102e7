"""Pushing: each version once, from where the last push was, whatever the team's server does."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest

from khive_persist import HookEvent, open_store, prune, purge, rescan
from khive_persist.errors import DestinationError, InvalidSettingsError, StoreBusyError
from khive_persist.models.purposes import EVENT_FILES, PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.store.sqlite.write_lock import held
from khive_persist.team.push import Pushed, push, rehearse
from khive_persist.team.run import LOCK
from khive_persist.team.status import TeamStatus, switch_off, switch_on, team_status
from khive_persist.trust import records
from tests.factories import (
    NOON,
    event,
    in_own_thread,
    message,
    plan,
    row,
    save,
    save_many,
    store_rows,
)
from tests.payloads import Hook
from tests.team.team_server import Behaviour, TeamServer

EVENTS = EVENT_FILES["claude-code"]


def configure(project: Project, server: TeamServer, form: str = "metrics", rest: str = "") -> None:
    project.local_config.write_text(f"[team]\nurl = '{server.url}'\nform = '{form}'\n{rest}")


def pushed(project: Project, **options: Any) -> Pushed:
    return anyio.run(partial(push, project, **options))


def status(project: Project) -> TeamStatus:
    return team_status(project)


@pytest.fixture
def project(project: Project, server: TeamServer) -> Project:
    """A project with three events of two sessions."""
    configure(project, server)
    save(project, *(event("stop", f"s{n % 2}", n, id=f"e{n}") for n in range(3)))
    return project


def test_what_is_new_leaves_once(project: Project, server: TeamServer) -> None:
    assert status(project).pending == 3
    assert pushed(project)[:2] == (3, 0)
    assert pushed(project) == Pushed()
    save(project, event("stop", "s0", 9), event("stop", "s1", 1, id="e1", success=False))
    assert status(project).pending == 2
    assert pushed(project).records == 2
    assert len(server.bodies) == 2
    assert len(server.records) == 4
    (changed,) = [c for c in server.contents if "success" in c]
    assert changed["success"] is False
    current = status(project)
    assert (current.pending, current.problem) == (0, "")
    assert [(t.purpose, t.form, t.records) for t in current.totals] == [
        ("claude_hooks", "metrics", 5)
    ]


def test_records_of_a_session_leave_in_their_order(project: Project, server: TeamServer) -> None:
    save_many(project, [message("s0", n, text=f"{n}") for n in range(1_200)])
    assert pushed(project).records == 1_203
    times = [r.created_at for r in server.versions if r.purpose == "conversations"]
    assert times == sorted(times, key=str)
    assert max(body.count(b"\n") for body in server.bodies) <= 500


def test_a_batch_has_a_megabyte_at_the_most(project: Project, server: TeamServer) -> None:
    configure(project, server, "all")
    save_many(project, [message("s0", n, text="x" * 300_000) for n in range(7)])
    assert pushed(project).records == 10
    assert max(map(len, server.bodies)) <= 1_000_000
    # What no server takes leaves as metrics.
    save(project, message("s0", 9, text="x" * (5 << 20)))
    assert pushed(project).records == 1
    assert server.versions[-1].form == "metrics"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("fail", "answered 500"),
        ("cut", "does not answer"),
        ("redirect", "answered 302"),
        ("say nothing", "has not said that it stored 3 records"),
        ("say less", "has not said that it stored 3 records"),
    ],
)
def test_a_bad_server_costs_nothing_but_time(
    project: Project, server: TeamServer, behaviour: Behaviour, reason: str, quick: None
) -> None:
    server.behaviour = behaviour
    server.redirected_to = f"{server.url}/elsewhere"
    with pytest.raises(DestinationError, match=reason):
        pushed(project)
    current = status(project)
    assert reason in current.problem
    assert (current.totals, current.pending, current.pushed_at) == ([], 3, None)
    assert server.arrivals == (1 if behaviour[:3] in ("red", "say") else 3)
    server.behaviour = "store"
    assert pushed(project).records == 3
    assert (len(server.versions), status(project).problem) == (3, "")


def test_what_was_stored_and_not_acknowledged_leaves_in_the_same_version(
    project: Project, server: TeamServer, quick: None
) -> None:
    server.behaviour = "cut after storing"
    with pytest.raises(DestinationError):
        pushed(project)
    server.behaviour = "store"
    assert pushed(project).records == 3
    assert len(server.versions) == 4 * 3
    assert len({record.message_id for record in server.versions}) == 3


def test_a_killed_push_sends_the_same_versions(project: Project, server: TeamServer) -> None:
    server.behaviour = "hang"
    process = subprocess.Popen(
        [sys.executable, "-m", "khive_persist", "--dir", str(project.root), "push"],
        stdout=subprocess.DEVNULL,
    )
    assert server.arrived.wait(60)
    # Whoever comes meanwhile leaves it to this one.
    with pytest.raises(StoreBusyError, match="another push"):
        pushed(project)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shown = dry(project)
    server.behaviour = "store"
    assert pushed(project).records == 3
    assert [record.to_json() for record in server.versions] == shown


def test_a_push_that_is_interrupted_ends_at_once(project: Project, server: TeamServer) -> None:
    server.behaviour = "hang"
    process = subprocess.Popen(
        [sys.executable, "-m", "khive_persist", "--dir", str(project.root), "push"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # A shell keeps it from what runs in its background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert server.arrived.wait(60)
    process.send_signal(signal.SIGINT)
    # A request may take a minute.
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (130, "\nkhive-persist: interrupted\n")


def test_two_pushes_at_once(project: Project, server: TeamServer) -> None:
    with held(project.khive / LOCK, 1), pytest.raises(StoreBusyError):
        pushed(project)
    assert server.bodies == []


def test_a_limit_leaves_the_rest_for_the_next(project: Project, server: TeamServer) -> None:
    assert pushed(project, limit=2) == Pushed(2, 0, len(server.bodies[0]), is_complete=False)
    assert pushed(project).records == 1
    assert len(server.versions) == 3


def dry(project: Project, **options: Any) -> list[str]:
    shown: list[str] = []
    anyio.run(partial(rehearse, project, lambda r: shown.append(r.to_json()), **options))
    return shown


def test_a_purge_reaches_the_team(project: Project, server: TeamServer) -> None:
    pushed(project)
    result = in_own_thread(lambda: purge("s0", dir=project.root))
    assert (result.at_team, result.is_complete) == (2, False)
    assert status(project).withdrawing == 2
    assert "s0" in ledger_bytes(project)
    # The server is away: it waits.
    server.behaviour = "redirect"
    with pytest.raises(DestinationError):
        pushed(project)
    assert status(project).withdrawing == 2
    server.behaviour = "store"
    assert dry(project) == [r.to_json() for r in sent_by(project, server)]
    assert status(project).withdrawing == 0
    assert [r.content for r in server.records.values()].count(None) == 2
    assert len(server.contents) == 1
    assert pushed(project) == Pushed()
    # Nothing of it is left here.
    assert status(project).totals[-1].form == "purged"
    with open_reader(project.team_ledger) as ledger:
        assert ledger.execute("SELECT session_id FROM sessions").fetchall() == [("s1",)]
        assert ledger.execute("SELECT id FROM records").fetchall() == [("e1",)]


def ledger_bytes(project: Project) -> str:
    paths = project.khive.glob("team.db*")
    return "".join(path.read_bytes().decode("latin-1") for path in paths)


def sent_by(project: Project, server: TeamServer) -> list[Any]:
    count = len(server.versions)
    pushed(project)
    return server.versions[count:]


def test_a_purge_of_what_was_sent_just_then(project: Project, server: TeamServer) -> None:
    """What may have come, though nobody has said so, is taken out, too."""
    server.behaviour = "redirect"
    with pytest.raises(DestinationError):
        pushed(project)
    assert in_own_thread(lambda: purge("s0", dir=project.root)).at_team == 2
    server.behaviour = "store"
    pushed(project)
    contents = [(r.content is None) for r in server.versions]
    assert sorted(contents) == [False, True, True]


def test_a_purge_while_it_is_under_way(project: Project, server: TeamServer) -> None:
    server.behaviour = "store late"
    with ThreadPoolExecutor(1) as thread:
        under_way = thread.submit(pushed, project)
        assert server.arrived.wait(60)
        assert in_own_thread(lambda: purge("s0", dir=project.root)).at_team == 2
        server.behaviour = "store"
        server.released.set()
        under_way.result(60)
    pushed(project)
    assert [r.content for r in server.records.values()].count(None) == 2
    assert status(project).withdrawing == 0


def test_what_was_never_sent_of_a_purge_is_not_told(project: Project, server: TeamServer) -> None:
    result = in_own_thread(lambda: purge("s0", dir=project.root))
    assert (result.at_team, result.is_complete) == (0, True)
    assert pushed(project).records == 1
    assert status(project).unsent == []


def test_what_is_deleted_goes_and_what_is_pruned_stays(
    project: Project, server: TeamServer
) -> None:
    async def delete(id: str) -> None:
        async with open_store(HookEvent, dir=project.root) as store:
            await store.delete(id)

    pushed(project)
    in_own_thread(partial(delete, "e2"))
    assert pushed(project)[:2] == (0, 1)
    # One that had left is changed before it goes, too.
    save(project, event("stop", "s1", 5, id="late"), event("stop", "s1", 1, id="e1", success=True))
    in_own_thread(lambda: prune(keep_age=timedelta(0), dir=project.root))
    # Of the two that had left nothing changes at the team; the third never will leave.
    assert pushed(project) == Pushed()
    assert len(server.contents) == 2
    assert status(project).unsent == [("claude_hooks", 1, 0)]
    assert "1 records of claude_hooks were removed before they left" in doctor(project)


def doctor(project: Project) -> str:
    from khive_persist.maintenance.doctor.care import team_findings

    return "\n".join(finding.text for finding in team_findings(project))


def test_a_session_that_is_off_stays_here(project: Project, server: TeamServer) -> None:
    switch_off(project, "s0")
    save(project, plan("p1", 1, agent_session_id="s0"))
    assert pushed(project).records == 1
    assert [entry.session_id for entry in status(project).off_sessions] == ["s0"]
    switch_on(project, "s0")
    assert pushed(project).records == 3
    assert switch_off(project, "s0", withdraws=True).withdrawing == 2
    assert pushed(project)[:2] == (0, 2)
    assert len(server.contents) == 2
    # It comes back in later versions.
    switch_on(project, "s0")
    assert pushed(project).records == 2
    assert len(server.contents) == 4


def test_another_form_takes_the_place_of_the_former(project: Project, server: TeamServer) -> None:
    pushed(project)
    configure(project, server, "all")
    shown = dry(project)
    assert pushed(project)[:2] == (3, 3)
    assert [r.to_json() for r in server.versions[3:]] == shown
    newest = [r for r in server.records.values() if r.content is not None]
    assert {r.session for r in newest} == {"s0", "s1"}
    configure(project, server, "metrics")
    assert pushed(project)[:2] == (3, 3)
    assert {r.form for r in server.records.values() if r.content is not None} == {"metrics"}
    assert pushed(project) == Pushed()


def test_kinds_have_forms_of_their_own(project: Project, server: TeamServer) -> None:
    configure(
        project,
        server,
        "off",
        'kinds = ["hook_events form=metrics", "plans form=all", "* form=off"]',
    )
    save_many(project, [plan("p1", 1), message("s0", 1)])
    assert pushed(project).records == 4
    assert {(r.purpose, r.form) for r in server.versions} == {
        ("claude_hooks", "metrics"), ("planner_sessions", "all"),
    }  # fmt: skip
    # What no longer leaves is no longer kept for it in the log.
    configure(project, server, "off", 'kinds = ["plans form=all"]')
    pushed(project)
    assert consumers(project, EVENTS.file) == {"mirror"}
    assert consumers(project, PLANNER_SESSIONS.file) == {"mirror", "push"}


def consumers(project: Project, file: str) -> set[str]:
    with open_reader(project.database(file)) as reader:
        return set(change_log.positions(reader))


def test_redaction_runs_again_with_the_present_rules(project: Project, server: TeamServer) -> None:
    save(project, event("pre_command", "s0", 1, command="open ACME-12345678"))
    configure(project, server, "all")
    pushed(project)
    assert any("ACME-12345678" in body.decode() for body in server.bodies)
    server.forget()
    configure(project, server, "redacted", '[redaction]\ndeny = ["ACME-[0-9]{8}"]\n')
    pushed(project)
    assert not any("ACME-12345678" in body.decode() for body in server.bodies)
    assert any("[REDACTED:" in str(content) for content in server.contents)


def test_what_is_redacted_later_is_replaced(project: Project, server: TeamServer) -> None:
    configure(project, server, "all")
    token = "ghp_" + "a1B2" * 9
    content = {"event_type": "stop", "session_id": "s0", "error": token}
    store_rows(project, EVENTS, [row(content, NOON, id="e0")])
    pushed(project)
    assert any(token in str(content) for content in server.contents)
    in_own_thread(lambda: rescan(dir=project.root))
    assert pushed(project).records == 1
    assert not any(token in str(content) for content in server.contents)


def test_a_log_that_was_cut_is_said(
    project: Project, server: TeamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(project)
    monkeypatch.setattr(change_log, "MAX_ENTRIES", 5)
    for n in range(4):
        save_many(project, [event("stop", "s0", n, id=f"new{n}-{i}") for i in range(4)])
    monkeypatch.undo()
    assert pushed(project).records == 16
    (unsent,) = status(project).unsent
    assert unsent.changes > 0
    assert len(server.contents) == 19


def test_another_address_gets_all(project: Project, server: TeamServer) -> None:
    pushed(project)
    configure(project, server)
    text = project.local_config.read_text()
    project.local_config.write_text(text.replace("127.0.0.1", "localhost"))
    assert pushed(project).records == 3
    assert len({record.message_id for record in server.versions}) == 6


def test_a_lost_ledger_sends_all_in_later_versions(project: Project, server: TeamServer) -> None:
    pushed(project)
    for path in project.khive.glob("team.db*"):
        path.unlink()
    pushed(project)
    first, second = server.versions[:3], server.versions[3:]
    assert [r.id for r in first] == [r.id for r in second]
    assert all(one.version < other.version for one, other in zip(first, second, strict=True))


def test_a_ledger_that_git_brought_is_set_aside(project: Project, server: TeamServer) -> None:
    project.team_ledger.write_bytes(b"SQLite format 3\0" + b"\0" * 5_000)
    assert pushed(project).records == 3
    assert list(project.quarantine.glob("team.db.*/team.db"))


def test_nothing_leaves_by_what_a_clone_says(project: Project, server: TeamServer) -> None:
    project.local_config.unlink()
    project.config.write_text(
        f"[team]\nurl = '{server.url}'\nform = 'all'\nevery_minutes = 0.001\n"
    )
    for is_trusted in (False, True):
        if is_trusted:
            records.trust_config(project.khive, project.config.read_text())
        with pytest.raises(InvalidSettingsError, match=r"team\.url is not set"):
            pushed(project)
        with pytest.raises(InvalidSettingsError):
            dry(project)
    assert server.raw == []
    assert status(project).forms == {}


def test_nothing_leaves_unasked(project: Project, server: TeamServer) -> None:
    project.local_config.write_text(f"[team]\nurl = '{server.url}'\n")
    with pytest.raises(InvalidSettingsError, match=r"team\.form is off"):
        pushed(project)
    assert (server.raw, status(project).forms) == ([], {})


def test_the_token_is_that_of_its_variable(
    project: Project, server: TeamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(project, server, rest="token_variable = 'TEAM_TOKEN'\n")
    with pytest.raises(InvalidSettingsError, match="TEAM_TOKEN is not set"):
        pushed(project)
    monkeypatch.setenv("TEAM_TOKEN", "secret-of-mine")
    pushed(project)
    assert server.tokens == ["Bearer secret-of-mine"]
    project.local_config.write_text(
        project.local_config.read_text().replace(server.url, "http://team.example")
    )
    with pytest.raises(InvalidSettingsError, match="in clear text"):
        pushed(project)
    assert "secret" not in status(project).problem


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request that failed be tried again at once."""
    from khive_persist import web_requests

    defaults = web_requests.post_json.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "first_pause", 0.001)


def test_the_process_pushes_when_it_is_time(project: Project, server: TeamServer) -> None:
    run(project)
    assert len(server.versions) == 3
    save(project, event("stop", "s0", 4))
    configure(project, server, rest="every_minutes = 60.0\n")
    run(project)
    assert len(server.versions) == 3
    configure(project, server, rest="every_minutes = 0.02\n")
    run(project)
    assert len(server.versions) == 4
    configure(project, server, "off")
    os.utime(project.khive / LOCK, (0, 0))
    run(project)
    assert consumers(project, EVENTS.file) == {"mirror"}


def run(project: Project) -> None:
    command = [sys.executable, "-m", "khive_persist.team.run", str(project.root)]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_hooks_drainer_starts_it(project: Project, server: TeamServer, hook: Hook) -> None:
    payload = {"session_id": "s9", "hook_event_name": "Stop", "cwd": str(project.root)}
    assert hook(json.dumps(payload).encode()).returncode == 0
    assert server.arrived.wait(60)
