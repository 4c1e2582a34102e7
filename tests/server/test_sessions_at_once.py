"""Sessions under many clients, other writers, restarts and locked files."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from tests.server.process import Server, children
from tests.server.sessions import KINDS, PATH, begin, contents, one_of

AT_ONCE = 50
# One update past the server, through the Python API.
UPDATE = """
import sys
import anyio
from khive_persist import ApplicationSession, open_store

async def main():
    async with open_store(ApplicationSession, dir=sys.argv[1]) as sessions:
        session = await sessions.get(sys.argv[2])
        await sessions.update(session.id, {"by": "python"}, session.content["version"])

anyio.run(main)
"""
# As many as it is told, each tried until it wins.


def python(program: str, *words: str) -> None:
    subprocess.run([sys.executable, "-c", program, *words], check=True, timeout=30)


def lookups(client: httpx.Client) -> Counter[str]:
    """How often the cache had a session, and how often not."""
    found: Counter[str] = Counter()
    for line in client.get("/metrics").text.splitlines():
        for word in ("hit", "miss"):
            if line.startswith(f'khive_session_lookups_total{{result="{word}"}}'):
                found[word] = int(float(line.split()[-1]))
    return found


def at_once(server: Server, work: Callable[[httpx.Client, int], Any], count: int) -> list[Any]:
    """What each of so many clients gets, all begun at the same time."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        with server.client() as client:
            client.get("/healthz")
            barrier.wait(30)
            return work(client, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_fifty_updates_of_a_version_one_wins(server: Server, client: httpx.Client) -> None:
    id = begin(client)
    for version in (1, 2):

        def update(own: httpx.Client, number: int, version: int = version) -> httpx.Response:
            change = {"winner": f"{version} {number}"}
            return own.patch(f"{PATH}/{id}", json=change, headers={"if-match": f'"{version}"'})

        answers = at_once(server, update, AT_ONCE)
        assert Counter(one.status_code for one in answers) == {200: 1, 409: AT_ONCE - 1}
        for one in answers:
            assert one.headers["etag"] == f'"{version + 1}"'
        (winner,) = (number for number, one in enumerate(answers) if one.status_code == 200)
        session = client.get(f"{PATH}/{id}").json()
        assert (session["version"], session["winner"]) == (version + 1, f"{version} {winner}")


def test_no_update_of_the_server_s_clients_and_of_another_process_is_lost(
    server: Server, client: httpx.Client
) -> None:
    id = begin(client)
    clients, each = 4, 10

    def update(own: httpx.Client, number: int) -> None:
        for step in range(each):
            while True:
                session = own.get(f"{PATH}/{id}").json()
                took = [*session.get("took", []), f"{number} {step}"]
                change = {"took": took, "version": session["version"]}
                if own.patch(f"{PATH}/{id}", json=change).status_code == 200:
                    break

    other = subprocess.Popen(
        [sys.executable, "-m", "tests.programs.session_updater",
         str(server.project.root), id, "python", str(each)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdin is not None
    other.stdout.readline()
    other.stdin.write("go\n")
    other.stdin.flush()
    at_once(server, update, clients)
    other.communicate(timeout=50)
    assert other.returncode == 0
    session = client.get(f"{PATH}/{id}").json()
    assert session["version"] == 1 + (clients + 1) * each
    for name in (*map(str, range(clients)), "python"):
        own = [one for one in session["took"] if one.split()[0] == name]
        assert own == [f"{name} {step}" for step in range(each)]
    assert run(["--dir", str(server.project.root), "verify"]) == 0


def test_a_restarted_server_goes_on(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        id = begin(client, session_id="s1", participant="ann")
        client.patch(f"{PATH}/{id}", json={"step": 1, "version": 1})
        sent = {name: [{**one_of(name), "id": f"{name}{n}"} for n in range(3)] for name in KINDS}
        for name in KINDS:
            client.post(f"{PATH}/{id}/{name}", json=sent[name])
        before = client.get(f"{PATH}/{id}").json()
        # With its recorder, so that neither can finish anything.
        for pid in (*children(server.process.pid), server.process.pid):
            os.kill(pid, signal.SIGKILL)
        server.end()
    with Server(project) as server, server.client() as client:
        assert client.get(f"{PATH}/{id}").json() == before
        assert client.get(f"{PATH}/{id}/check").json()["is_restorable"]
        # Who does not know whether he was heard says it again.
        again = client.post(PATH, json={"session_id": "s1", "participant": "ann", "step": 1})
        assert again.status_code == 200
        for name in KINDS:
            answer = client.post(f"{PATH}/{id}/{name}", json=sent[name])
            assert answer.json()["counts"] == {"same": 3}
            assert len(contents(project, name)) == 3
        late = client.patch(f"{PATH}/{id}", json={"step": 2, "version": 1})
        assert late.status_code == 409
        assert client.patch(f"{PATH}/{id}", json={"step": 2, "version": 2}).status_code == 200


@pytest.mark.parametrize("told", ["read", "added to", "begun again", "completed again"])
@pytest.mark.parametrize("left", ["nothing", "the version before"])
def test_a_commit_whose_copy_was_not_made_is_copied_before_it_is_told(
    told: str, left: str, project: Project
) -> None:
    fields = {"session_id": "s1", "group": "a"}
    with Server(project) as server, server.client() as client:
        begin(client, **fields)
        (copy,) = (project.khive / "sessions").glob("application_session_*.json")
        before = copy.read_bytes()
        if told == "completed again":
            client.post(f"{PATH}/s1/complete", json={"outcome": 1})
        elif told != "begun again":
            client.patch(f"{PATH}/s1", json={"step": 1, "version": 1})
    # As a server leaves it that is killed between the two.
    copy.unlink()
    if left != "nothing":
        copy.write_bytes(before)
    with Server(project) as server, server.client() as client:
        match told:
            case "read":
                assert client.get(f"{PATH}/s1").json()["step"] == 1
            case "added to":
                answer = client.post(f"{PATH}/s1/messages", json=one_of("messages"))
                assert answer.status_code == 200
            case "begun again":
                assert client.post(PATH, json=fields).status_code == 200
            case "completed again":
                answer = client.post(f"{PATH}/s1/complete", json={"outcome": 1})
                assert answer.json()["version"] == 2
    assert run(["--dir", str(project.root), "verify"]) == 0


def test_a_session_is_read_from_the_file_once(server: Server, client: httpx.Client) -> None:
    one, other = begin(client, group="a"), begin(client, group="b")
    for _ in range(5):
        assert client.get(f"{PATH}/{one}").json()["group"] == "a"
        assert client.post(f"{PATH}/{one}/messages", json=one_of("messages")).status_code == 200
    # What this server has written itself, it knows.
    assert lookups(client) == {"hit": 10}
    for version in (1, 2, 3):
        client.patch(f"{PATH}/{other}", json={"step": version, "version": version})
        assert client.get(f"{PATH}/{one}").json()["group"] == "a"
        assert client.get(f"{PATH}/{other}").json()["step"] == version
    client.post(f"{PATH}/{one}/complete", json={})
    assert client.get(f"{PATH}/{one}").json()["status"] == "completed"
    assert client.get(f"{PATH}/none").status_code == 404
    assert lookups(client) == {"hit": 17, "miss": 1}


def test_a_session_that_is_not_known_yet_is_read(project: Project) -> None:
    with Server(project) as server, server.client() as client:
        id = begin(client)
    with Server(project) as server, server.client() as client:
        for _ in range(3):
            assert client.get(f"{PATH}/{id}").status_code == 200
        assert lookups(client) == {"hit": 2, "miss": 1}


def write_by_python(project: Project, id: str) -> None:
    python(UPDATE, str(project.root), id)


def write_by_sql(project: Project, id: str) -> None:
    path = project.database("application_sessions.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE application_sessions SET content = json_set(content, '$.by', 'sql')"
        )


def write_by_import(project: Project, id: str) -> None:
    document = contents(project, "sessions")[id] | {"by": "import"}
    source = project.root / "sessions.jsonl"
    row = {"id": id, "purpose": "application_sessions", "content": document}
    source.write_text(json.dumps({"dataModelVersion": 1, "created_at": None, **row}) + "\n")
    assert run(["--dir", str(project.root), "import", str(source), "--update"]) == 0


def remove_by_purge(project: Project, id: str) -> None:
    assert run(["--dir", str(project.root), "purge", "--session", id, "--yes"]) == 0


@pytest.mark.parametrize(
    ("write", "by"),
    [
        (write_by_python, "python"),
        (write_by_sql, "sql"),
        (write_by_import, "import"),
        (remove_by_purge, None),
    ],
)
def test_what_others_write_is_seen_at_once(
    write: Callable[[Project, str], None], by: str | None, server: Server, client: httpx.Client
) -> None:
    id = begin(client)
    client.get(f"{PATH}/{id}")
    write(server.project, id)
    found = client.get(f"{PATH}/{id}")
    assert (found.json().get("by") if found.status_code == 200 else None) == by
    assert found.status_code == (200 if by else 404)
    assert lookups(client) == {"hit": 1, "miss": 1}


def test_a_session_that_others_complete_takes_no_more(server: Server, client: httpx.Client) -> None:
    id = begin(client)
    assert client.post(f"{PATH}/{id}/scores", json=one_of("scores")).status_code == 200
    program = UPDATE.replace(
        'update(session.id, {"by": "python"}, session.content["version"])',
        "complete(session.id, {})",
    )
    assert program != UPDATE
    python(program, str(server.project.root), id)
    assert client.post(f"{PATH}/{id}/scores", json=one_of("scores")).status_code == 409


def test_once_a_session_is_completed_nothing_comes_after(
    server: Server, client: httpx.Client
) -> None:
    id = begin(client)
    at_completion: list[int] = []

    def append(own: httpx.Client, number: int) -> tuple[int, int]:
        """How many were stored, and how many were refused."""
        stored = refused = 0
        while not refused:
            if number == 0 and stored == 5:
                assert own.post(f"{PATH}/{id}/complete", json={}).status_code == 200
                at_completion.append(len(contents(server.project, "messages")))
            answer = own.post(f"{PATH}/{id}/messages", json=one_of("messages"))
            stored += answer.status_code == 200
            refused += answer.status_code == 409
        return stored, refused

    counts = at_once(server, append, 16)
    total = sum(stored for stored, _ in counts)
    assert total >= 5
    assert at_completion == [total] == [len(contents(server.project, "messages"))]


def test_completion_is_answered_once_what_was_begun_has_ended(
    server: Server, client: httpx.Client
) -> None:
    id = begin(client)
    client.post(f"{PATH}/{id}/messages", json=one_of("messages"))
    path = write_lock.lock_path(server.project.database("conversations.db"))
    held = write_lock.acquire(path, 5)
    with ThreadPoolExecutor(2) as pool, server.client() as one, server.client() as other:
        added = pool.submit(one.post, f"{PATH}/{id}/messages", json=one_of("messages"))
        while "khive_waiting 1.0" not in client.get("/metrics").text:
            assert not added.done()
        done = pool.submit(other.post, f"{PATH}/{id}/complete", json={})
        while client.get(f"{PATH}/{id}").json()["status"] != "completed":
            pass
        late = client.post(f"{PATH}/{id}/messages", json=one_of("messages"))
        assert late.status_code == 409
        with pytest.raises(TimeoutError):
            done.result(0.5)
        os.close(held)
        assert added.result(20).json()["counts"] == {"new": 1}
        assert done.result(20).status_code == 200
    assert len(contents(server.project, "messages")) == 2


@pytest.fixture
def impatient(project: Project) -> Project:
    """A project whose writers do not wait long for others."""
    project.config.write_text("[store]\nbusy_timeout_seconds = 0.2\n")
    return project


def test_a_locked_file_is_a_503_that_says_when_to_come_again(impatient: Project) -> None:
    with Server(impatient) as server, server.client() as client:
        id = begin(client)
        client.post(f"{PATH}/{id}/measurements", json=one_of("measurements"))
        files = ["application_sessions.db", "measurements.db"]
        for file in files:
            with write_lock.held(write_lock.lock_path(impatient.database(file)), 5):
                if file == "measurements.db":
                    answer = client.post(f"{PATH}/{id}/measurements", json=one_of("measurements"))
                else:
                    answer = client.patch(f"{PATH}/{id}", json={"step": 1, "version": 1})
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["code"] == "store_busy"
                assert int(answer.headers["retry-after"]) > 0
                # Who only reads waits for nobody.
                assert client.get(f"{PATH}/{id}").json()["version"] == 1
        assert client.patch(f"{PATH}/{id}", json={"step": 1, "version": 1}).status_code == 200
        answer = client.post(f"{PATH}/{id}/measurements", json=one_of("measurements"))
        assert answer.json()["counts"] == {"new": 1}
        assert len(contents(impatient, "measurements")) == 2


def test_a_file_that_is_locked_for_a_moment_is_waited_for(impatient: Project) -> None:
    with Server(impatient) as server, server.client() as client:
        id = begin(client)
        path = write_lock.lock_path(impatient.database("application_sessions.db"))
        held = write_lock.acquire(path, 5)
        # Longer than one try waits, and shorter than all of them.
        threading.Timer(1.0, os.close, [held]).start()
        assert client.patch(f"{PATH}/{id}", json={"step": 1, "version": 1}).status_code == 200
        assert client.get(f"{PATH}/{id}").json()["version"] == 2


def test_a_recorder_that_ends_loses_nothing(server: Server, client: httpx.Client) -> None:
    id = begin(client)
    began = threading.Barrier(2)

    def append(own: httpx.Client, number: int) -> list[tuple[str, int]]:
        if number == 0:
            began.wait(30)
            (recorder,) = children(server.process.pid)
            os.kill(recorder, signal.SIGKILL)
            return []
        answers = []
        for n in range(20):
            if (number, n) == (1, 5):
                began.wait(30)
            sent = {**one_of("measurements"), "id": f"{number} {n}"}
            answer = own.post(f"{PATH}/{id}/measurements", json=sent)
            answers.append((f"{number} {n}", answer.status_code))
        return answers

    answers = [one for some in at_once(server, append, 5) for one in some]
    assert Counter(status for _, status in answers) == {200: 80}
    assert contents(server.project, "measurements").keys() == {id for id, _ in answers}
    # A commit whose copy the recorder had no time to make was answered by another try.
    assert client.get(f"{PATH}/{id}/check").json()["is_restorable"]


def test_the_cache_outlives_a_change_of_the_settings(project: Project) -> None:
    with Server(project, intervals={"settings": 0.01}) as server, server.client() as client:
        id = begin(client)
        for version in range(1, 20):
            project.config.write_text(f"[store]\nbusy_timeout_seconds = {version}\n")
            change = {"step": version, "version": version}
            assert client.patch(f"{PATH}/{id}", json=change).status_code == 200
            assert client.get(f"{PATH}/{id}").json()["step"] == version
        python(UPDATE, str(project.root), id)
        assert client.get(f"{PATH}/{id}").json()["by"] == "python"
        assert "settings_changed" in server.log


def test_the_project_s_files_stay_private(client: httpx.Client, project: Project) -> None:
    id = begin(client)
    for name in KINDS:
        client.post(f"{PATH}/{id}/{name}", json=one_of(name))
    found = [path for path in Path(project.khive).rglob("*") if path.is_file()]
    found.remove(project.config)
    assert len(found) > 8
    assert {path.stat().st_mode & 0o077 for path in found} == {0}
