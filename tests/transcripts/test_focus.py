"""To-do lists: what a call says, what changed, and snapshots from transcripts and hook events."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist import FocusChain, open_store
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.capture.todo_lists.snapshot_rows import snapshot_row
from khive_persist.capture.todo_lists.tool_calls import ListUpdate, completed, created, list_update
from khive_persist.copies import verify
from khive_persist.models.todo_list import Work, changes, status_of, updated, work
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.focus_chains import woven
from khive_persist.transcripts.sync import Sync
from tests.payloads import sample_payloads
from tests.stored import select
from tests.transcripts import to_do_lines
from tests.transcripts.to_do_lines import CLAUDE, GEMINI, claude, codex

CLAUDE_SESSION = "949752ba-dbca-4cef-aed8-56a872909535"
GEMINI_SESSION = "41f49510-b0a6-49f3-a9e9-6d268a96b5ba"
AWS_KEY = "AKIA" + "Q3EGRIRR7WJXKLM4"

statuses = st.sampled_from(["pending", "in_progress", "completed", "blocked"])
texts = st.sampled_from("abcdef")


@st.composite
def to_do_lists(draw: st.DrawFn) -> list[dict[str, str]]:
    """Lists in which a text names one item; some items have an id, too."""
    items = []
    free = list("123456")
    for text in draw(st.lists(texts, unique=True, max_size=6)):
        item = {"text": text, "status": draw(statuses)}
        if draw(st.booleans()):
            item["id"] = free.pop(draw(st.integers(0, len(free) - 1)))
        items.append(item)
    return items


@given(to_do_lists(), to_do_lists())
def test_the_changes_lead_from_the_list_before_to_the_list_after(
    before: list[dict[str, str]], after: list[dict[str, str]]
) -> None:
    made = changes(before, after)
    gone = {*made.dropped, *(one["was"] for one in made.changed if "was" in one)}
    there = {item["text"]: item["status"] for item in before if item["text"] not in gone}
    there |= dict.fromkeys(made.added, "pending")
    there |= {one["text"]: one["status"] for one in made.changed}
    there |= dict.fromkeys(made.started, "in_progress")
    there |= dict.fromkeys(made.completed, "completed")
    assert there == {item["text"]: item["status"] for item in after}


@given(st.lists(st.tuples(texts, statuses)), st.lists(st.tuples(texts, statuses)))
def test_of_items_of_one_name_each_is_counted(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    old, new = ([{"text": t, "status": s} for t, s in each] for each in (before, after))
    made = changes(old, new)
    assert len(old) + len(made.added) - len(made.dropped) == len(new)
    assert changes(new, new) == ([], [], [], [], [])


def test_a_renamed_item_stays_the_item_and_an_id_tells_two_of_one_name_apart() -> None:
    before = [{"id": "1", "text": "a", "status": "pending"}]
    renamed = [{"id": "1", "text": "b", "status": "in_progress"}]
    made = changes(before, renamed)
    assert made.changed == [{"text": "b", "status": "in_progress", "was": "a"}]
    assert (made.added, made.started, made.dropped) == ([], ["b"], [])
    other = changes(before, [{"id": "2", "text": "a", "status": "pending"}])
    assert (other.added, other.dropped) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "pending"), ("In Progress", "in_progress"), ("in-progress", "in_progress"),
        ("inProgress", "in_progress"), ("done", "completed"), ("Completed", "completed"),
        ("cancelled", "cancelled"), ("Blocked", "Blocked"), ("", "pending"), (None, "pending"),
    ],
)  # fmt: skip
def test_a_status_is_spelled_one_way_and_others_are_kept(word: object, status: str) -> None:
    assert status_of(word) == status


def test_each_tool_says_its_list_in_its_own_words() -> None:
    items = [{"text": "a", "status": "in_progress"}, {"text": "b", "status": "pending"}]
    lists = {
        "TodoWrite": {"todos": [
            {"id": "1", "content": "a", "status": "in_progress"},
            {"id": "2", "content": "b", "status": "pending"},
        ]},
        "update_plan": {"plan": [{"step": "a", "status": "in_progress"}, {"step": "b"}]},
        "write_todos": {"todos": [
            {"description": "a", "status": "in_progress"},
            {"description": "b", "status": "pending"},
        ]},
    }  # fmt: skip
    for name, said in lists.items():
        found = list_update(name, said, "ok")
        assert found is not None
        assert found.items == items
    kept = list_update("TodoWrite", {"todos": [{"content": "a", "activeForm": "A"}]}, "ok")
    assert kept is not None
    assert kept.items == [{"text": "a", "status": "pending", "activeForm": "A"}]


@pytest.mark.parametrize(
    ("name", "said", "result"),
    [
        ("TodoWrite", {"todos": "none"}, "ok"),
        ("TodoWrite", {"todos": [{"content": 1}]}, "ok"),
        ("TodoWrite", None, "ok"),
        ("TaskCreate", {}, {"task": {"id": "1"}}),
        ("TaskUpdate", {"taskId": "1", "status": "completed"}, {"success": False}),
        ("TaskUpdate", {"taskId": "1", "owner": "me"}, "Updated task #1 owner"),
        ("TaskUpdate", {"taskId": "9", "status": "completed"}, "Task not found"),
        ("TaskUpdate", {"taskId": "9", "status": "completed"}, "Task #9 not found"),
        ("TaskUpdate", {"taskId": "1", "status": "completed"}, "the hook of the user says no"),
        ("TaskCreate", {"subject": "a"}, "the hook of the user says no"),
        ("TaskUpdate", {"status": "completed"}, "ok"),
        ("update_plan", {"plan": []}, "failed to parse function arguments: missing field `step`"),
        ("update_plan", {"plan": []}, "unsupported call: update_plan"),
        ("Bash", {"command": "ls"}, "ok"),
    ],
)
def test_what_says_nothing_of_the_list_makes_no_snapshot(
    name: str, said: Any, result: object
) -> None:
    assert list_update(name, said, result) is None


def test_tasks_are_told_one_at_a_time() -> None:
    steps = [
        list_update("TaskCreate", {"subject": "a"}, {"task": {"id": "1"}}),
        list_update("TaskCreate", {"subject": "b"}, "Task #2 created successfully: b"),
        list_update(
            "TaskUpdate", {"taskId": "1", "status": "in_progress"}, "Updated task #1 status"
        ),
        list_update(
            "TaskUpdate",
            {"taskId": 1, "status": "completed", "subject": "A"},
            "Updated task #1 status",
        ),
        list_update("TaskUpdate", {"taskId": "2", "status": "deleted"}, "Updated task #1 status"),
        list_update(
            "TaskUpdate", {"taskId": "7", "status": "in_progress"}, "Updated task #1 status"
        ),
    ]
    items: list[dict[str, Any]] = []
    for step in steps:
        assert step is not None
        items = step.after(items)
    assert items == [
        {"id": "1", "text": "A", "status": "completed"},
        {"id": "7", "text": "task 7", "status": "in_progress"},
    ]
    assert updated(items, {"id": "9", "status": "deleted"}) == items


def test_work_is_from_the_start_of_an_item_to_what_ended_it() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def at(minutes: int, *items: tuple[str, str]) -> tuple[datetime, list[dict[str, str]]]:
        listed = [{"text": text, "status": status} for text, status in items]
        return noon + timedelta(minutes=minutes), listed

    found = work(
        [
            at(0, ("a", "in_progress"), ("b", "pending")),
            at(1, ("b", "pending"), ("a", "in_progress")),
            at(2, ("a", "completed"), ("b", "in_progress")),
            at(3, ("a", "in_progress"), ("b", "pending")),
            at(4, ("b", "in_progress")),
        ]
    )
    minute = [noon + timedelta(minutes=n) for n in range(5)]
    assert found == [
        Work("a", minute[0], minute[2], "completed"),
        Work("b", minute[2], minute[3], "pending"),
        Work("a", minute[3], minute[4], "dropped"),
        Work("b", minute[4], None, None),
    ]


def row(key: str, second: int, what: ListUpdate | None, agent: str | None = None) -> StoredRow:
    assert what is not None
    return snapshot_row(
        what,
        session_id="s",
        tool="claude-code",
        source="transcript",
        key=key,
        created_at=f"2026-11-21 12:00:{second:02}.000000",
        agent_id=agent,
    )


SNAPSHOTS = [
    row("k1", 1, created("1", "a")),
    row("k2", 2, created("2", "b")),
    row("k3", 3, list_update("TaskUpdate", {"taskId": "1", "status": "in_progress"}, "")),
    row("k4", 3, list_update("TodoWrite", {"todos": [{"content": "x"}]}, ""), "agent"),
    row("k5", 4, completed("1", "a")),
    row("k6", 5, list_update("TaskUpdate", {"taskId": "2", "status": "deleted"}, "")),
    row(
        "k7",
        6,
        list_update("TodoWrite", {"todos": [{"content": "y", "status": "done"}]}, ""),
        "agent",
    ),
]


@given(st.permutations(SNAPSHOTS), st.integers(1, 4))
def test_in_whatever_order_snapshots_come_the_chain_is_the_same(
    order: list[StoredRow], size: int
) -> None:
    rows: dict[str, StoredRow] = {}
    for begin in range(0, len(order), size):
        changed = woven(list(rows.values()), order[begin : begin + size])
        rows |= {one[0]: one for one in changed}
    at_once = {one[0]: one for one in woven([], SNAPSHOTS)}
    assert {id: json.loads(str(one[1])) for id, one in rows.items()} == {
        id: json.loads(str(one[1])) for id, one in at_once.items()
    }
    assert woven(list(rows.values()), order) == []
    found = [json.loads(str(at_once[one[0]][1])) for one in SNAPSHOTS]
    assert [one["position"] for one in found] == [1, 2, 3, 1, 4, 5, 2]
    assert [sorted(one.keys() & CHANGES) for one in found] == [
        ["added"], ["added"], ["started"], ["added"], ["completed"], ["dropped"],
        ["added", "completed", "dropped"],
    ]  # fmt: skip
    assert found[5]["items"] == [{"id": "1", "text": "a", "status": "completed"}]


CHANGES = {"added", "started", "completed", "dropped", "changed"}


def test_after_a_prune_the_chain_goes_on_where_it_was() -> None:
    rows = woven([], SNAPSHOTS[:3])
    more = woven([rows[-1]], [SNAPSHOTS[4]])
    (content,) = (json.loads(str(one[1])) for one in more)
    assert content["position"] == 4
    assert content["completed"] == ["a"]
    assert "added" not in content


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def sync(
    project: Project, path: Path, tool: str = "claude-code", redactor: Redactor | None = None
) -> None:
    Sync(project, Settings(), redactor).run(path, tool)


def rows_of(project: Project) -> list[Any]:
    sql = "SELECT id, content, created_at FROM focus_chains ORDER BY created_at"
    return select(project, "focus_chains.db", sql)


def contents_of(project: Project) -> list[dict[str, Any]]:
    return [json.loads(row[1]) for row in rows_of(project)]


def mirrored(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.sessions.glob("focus_chains*")}


def test_the_three_tools_own_transcripts(project: Project, transcript: Path) -> None:
    sync(project, CLAUDE)
    sync(project, GEMINI, "gemini-cli")
    plan = [{"step": "look", "status": "completed"}, {"step": "do", "status": "in_progress"}]
    transcript.write_text(to_do_lines.text(codex(plan)))
    sync(project, transcript, "codex")
    codex_said, gemini, made, done = (
        {name: value for name, value in content.items() if name != "metadata"}
        for content in contents_of(project)
    )
    # The TodoWrite before them failed: it is no snapshot.
    assert made | {"turn_id": ""} == {
        "session_id": CLAUDE_SESSION, "tool": "claude-code", "position": 1, "turn_id": "",
        "tool_use_id": "toolu_662231a6ec8e417c987f", "added": ["Do the thing"],
        "items": [{"id": "1", "text": "Do the thing", "status": "pending"}],
    }  # fmt: skip
    assert (done["position"], done["completed"]) == (2, ["Do the thing"])
    assert (gemini["session_id"], gemini["started"]) == (GEMINI_SESSION, ["b"])
    assert gemini["items"] == [
        {"text": "a", "status": "completed"}, {"text": "b", "status": "in_progress"},
    ]  # fmt: skip
    assert codex_said["explanation"] == "because"
    assert (codex_said["added"], codex_said["completed"]) == (["look", "do"], ["look"])


def test_a_plan_that_codex_refused_is_no_snapshot(project: Project, transcript: Path) -> None:
    refused = "update_plan is a TODO/checklist tool and is not allowed in Plan mode"
    transcript.write_text(to_do_lines.text(codex([{"step": "a"}], refused)))
    sync(project, transcript, "codex")
    assert rows_of(project) == []


async def test_read_again_from_the_beginning_nothing_changes(project: Project) -> None:
    def read() -> None:
        sync(project, CLAUDE)
        sync(project, GEMINI, "gemini-cli")

    read()
    before, copy = rows_of(project), mirrored(project)
    assert len(before) == 3
    assert len(copy) == 2
    for path in (project.khive / "sync").iterdir():
        path.unlink()
    read()
    assert (rows_of(project), mirrored(project)) == (before, copy)
    # Killed between the messages and the snapshots: the messages are there, the snapshots come.
    for path in project.khive.glob("focus_chains.db*"):
        path.unlink()
    for path in [*(project.khive / "sync").iterdir(), *project.sessions.glob("focus_chains*")]:
        path.unlink()
    read()
    assert rows_of(project) == before
    assert (await verify(dir=project.root)).differences == []


async def test_a_lost_file_is_told_anew_by_the_next_sync(
    project: Project, transcript: Path
) -> None:
    def read(*, expected: int) -> None:
        done = [
            Sync(project, Settings(), None).run(path, tool)
            for path, tool in (
                (CLAUDE, "claude-code"),
                (GEMINI, "gemini-cli"),
                (transcript, "claude-code"),
            )
        ]
        assert sum(one.lines > 0 for one in done) == expected

    transcript.write_text(to_do_lines.text(claude("u1", "Bash", {"command": "ls"}, "12:00:00")))
    read(expected=3)
    before = rows_of(project)
    assert len(before) == 3
    read(expected=0)
    for path in project.khive.glob("focus_chains.db*"):
        path.unlink()
    # One that brought no list has lost none.
    read(expected=2)
    assert rows_of(project) == before
    read(expected=0)
    for path in project.khive.glob("focus_chains.db*"):
        path.unlink()
    # Who opens it first makes it anew, without any.
    async with open_store(FocusChain, dir=project.root) as lists:
        assert await lists.count() == 0
    read(expected=2)
    assert rows_of(project) == before
    assert (await verify(dir=project.root)).differences == []


def test_a_call_counts_once_its_result_is_there(project: Project, transcript: Path) -> None:
    call, result = claude("u1", "TodoWrite", {"todos": [{"content": "walk"}]}, "12:00:00")
    transcript.write_text(to_do_lines.text([call]))
    sync(project, transcript)
    assert rows_of(project) == []
    transcript.write_text(to_do_lines.text([call, result]))
    sync(project, transcript)
    (content,) = contents_of(project)
    assert content["added"] == ["walk"]
    (memory,) = (project.khive / "sync").iterdir()
    assert "focus_pending" not in memory.read_text()
    failed = claude("u2", "TodoWrite", {"todos": []}, "12:00:01", is_error=True)
    transcript.write_text(to_do_lines.text([call, result, *failed]))
    sync(project, transcript)
    assert contents_of(project) == [content]


def test_calls_of_one_instant_keep_the_order_of_their_lines(
    project: Project, transcript: Path
) -> None:
    words = [f"u{number}" for number in range(8)]
    documents = [
        line
        for word in words
        for line in claude(word, "TodoWrite", {"todos": [{"content": word}]}, "12:00:01")
    ]
    transcript.write_text(to_do_lines.text(documents))
    sync(project, transcript)
    found = sorted(contents_of(project), key=lambda content: int(content["position"]))
    assert [content["added"] for content in found] == [[word] for word in words]


def test_each_agent_has_its_own_chain(project: Project, transcript: Path) -> None:
    def todos(*words: str) -> dict[str, Any]:
        return {"todos": [{"content": word, "status": "pending"} for word in words]}

    documents = [
        *claude("u1", "TodoWrite", todos("a"), "12:00:01"),
        *claude("u2", "TodoWrite", todos("sub"), "12:00:02", agent_id="a395"),
        *claude("u3", "TodoWrite", todos("a", "b"), "12:00:03"),
        *claude("u4", "TodoWrite", todos(), "12:00:04", agent_id="a395"),
    ]
    transcript.write_text(to_do_lines.text(documents))
    sync(project, transcript)
    found = [
        (c.get("agent_id"), c["position"], c.get("added"), c.get("dropped"))
        for c in contents_of(project)
    ]
    assert found == [
        (None, 1, ["a"], None), ("a395", 1, ["sub"], None),
        (None, 2, ["b"], None), ("a395", 2, None, ["sub"]),
    ]  # fmt: skip


def test_tasks_are_the_sessions_whichever_agent_touches_them(
    project: Project, transcript: Path
) -> None:
    """As the client keeps them; a list that TodoWrite makes is its agent's own."""
    documents = [
        *claude("u1", "TaskCreate", {"subject": "a"}, "12:00:01", result={"task": {"id": "1"}}),
        *claude("u2", "TaskCreate", {"subject": "b"}, "12:00:02", agent_id="a395",
                result={"task": {"id": "2"}}),
        *claude("u3", "TaskUpdate", {"taskId": "1", "status": "completed"}, "12:00:03",
                agent_id="a395", result={"success": True, "taskId": "1"}),
        *claude("u4", "TaskUpdate", {"taskId": "9", "status": "completed"}, "12:00:04",
                agent_id="a395", result={"success": False, "error": "Task not found"}),
    ]  # fmt: skip
    transcript.write_text(to_do_lines.text(documents))
    sync(project, transcript)
    contents = contents_of(project)
    assert [(c.get("agent_id"), c["position"]) for c in contents] == [
        (None, 1),
        (None, 2),
        (None, 3),
    ]
    assert [c["metadata"].get("by_agent_id") for c in contents] == [None, "a395", "a395"]
    assert [(item["text"], item["status"]) for item in contents[-1]["items"]] == [
        ("a", "completed"), ("b", "pending"),
    ]  # fmt: skip


def test_no_secret_of_an_item_is_written_anywhere(project: Project, transcript: Path) -> None:
    todos = {"todos": [{"content": f"deploy with {AWS_KEY}", "status": "pending"}]}
    call, result = claude("u1", "TodoWrite", todos, "12:00:01")
    again = claude("u2", "TodoWrite", todos, "12:00:02")
    redactor = Redactor(b"k" * 32)
    # The call without its result is remembered for the next time: not with its text.
    transcript.write_text(to_do_lines.text([call]))
    sync(project, transcript, redactor=redactor)
    transcript.write_text(to_do_lines.text([call, result, *again]))
    sync(project, transcript, redactor=redactor)
    first, second = contents_of(project)
    assert "[REDACTED:aws_access_key" in first["added"][0]
    assert second.keys() & CHANGES == set()
    files = [path for path in project.khive.rglob("*") if path.is_file()]
    assert [path for path in files if AWS_KEY.encode() in path.read_bytes()] == []


async def test_what_was_stored_without_redaction_gets_into_no_list(
    project: Project, transcript: Path
) -> None:
    todos = {"todos": [{"content": f"deploy with {AWS_KEY}", "status": "pending"}]}
    call, result = claude("u1", "TodoWrite", todos, "12:00:01")
    transcript.write_text(to_do_lines.text([call]))
    sync(project, transcript)
    transcript.write_text(to_do_lines.text([call, result]))
    sync(project, transcript, redactor=Redactor(b"k" * 32))
    on = project.config.read_text()
    project.local_config.write_text(on + "[redaction]\nenabled = false\n")
    payload = {
        "session_id": "s", "hook_event_name": "PostToolUse", "tool_name": "TodoWrite",
        "tool_input": todos, "tool_use_id": "u2",
    }  # fmt: skip
    accept(project, "claude-code", [json.dumps(payload).encode()])
    drain(project)
    project.local_config.write_text(on)
    assert len(await history(project, "s")) == 1
    assert len(rows_of(project)) == 2
    files = [*project.khive.glob("focus_chains.db*"), *project.sessions.glob("focus_chains*")]
    assert [path for path in files if AWS_KEY.encode() in path.read_bytes()] == []


def accept(project: Project, tool: str, payloads: Sequence[bytes]) -> None:
    spool = Spool(project)
    for payload in payloads:
        spool.accept(tool, payload)


async def history(project: Project, session: str) -> list[FocusChain]:
    async with open_store(FocusChain, dir=project.root) as lists:
        return await lists.get_history(session)


async def test_without_a_transcript_hook_events_tell(project: Project) -> None:
    accept(project, "claude-code", sample_payloads("claude-code"))
    accept(project, "gemini-cli", sample_payloads("gemini-cli"))
    made, done = await history(project, CLAUDE_SESSION)
    assert (made.content["added"], done.content["completed"]) == (["Do the thing"],) * 2
    (both,) = await history(project, GEMINI_SESSION)
    assert (both.content["added"], both.content["started"]) == (["a", "b"], ["b"])
    before, copy = rows_of(project), mirrored(project)
    await history(project, CLAUDE_SESSION)
    await history(project, GEMINI_SESSION)
    assert (rows_of(project), mirrored(project)) == (before, copy)
    assert (await verify(dir=project.root)).differences == []


@pytest.mark.parametrize("is_transcript_first", [True, False])
async def test_what_transcript_and_hooks_tell_is_there_once(
    project: Project, is_transcript_first: bool
) -> None:
    for step in (is_transcript_first, not is_transcript_first):
        if step:
            sync(project, CLAUDE)
            sync(project, GEMINI, "gemini-cli")
        else:
            accept(project, "claude-code", sample_payloads("claude-code"))
            accept(project, "gemini-cli", sample_payloads("gemini-cli"))
            await history(project, CLAUDE_SESSION)
            await history(project, GEMINI_SESSION)
    made, done = await history(project, CLAUDE_SESSION)
    assert [made.content["position"], done.content["position"]] == [1, 2]
    assert set(made.content["metadata"]["told_by"]) == {"transcript", "hooks", "task_events"}
    (both,) = await history(project, GEMINI_SESSION)
    assert set(both.content["metadata"]["told_by"]) == {"transcript", "hooks"}
    assert both.content["tool_use_id"] == "write_todos__fc-0136"
    before = rows_of(project)
    sync(project, CLAUDE)
    await history(project, CLAUDE_SESSION)
    assert rows_of(project) == before


async def test_events_of_tasks_tell_where_no_call_does(project: Project) -> None:
    words = (b'"TaskCreated"', b'"TaskCompleted"')
    told_by_tasks = [p for p in sample_payloads("claude-code") if any(w in p for w in words)]
    accept(project, "claude-code", told_by_tasks)
    made, done = await history(project, CLAUDE_SESSION)
    assert (made.content["added"], done.content["completed"]) == (["Do the thing"],) * 2


async def test_the_same_list_twice_is_two_snapshots_from_either_source(project: Project) -> None:
    (payload,) = (
        p for p in sample_payloads("gemini-cli") if b"write_todos" in p and b"AfterTool" in p
    )
    accept(project, "gemini-cli", [payload, payload])
    assert len(await history(project, GEMINI_SESSION)) == 2
    sync(project, GEMINI, "gemini-cli")
    found = await history(project, GEMINI_SESSION)
    assert [set(one.content["metadata"]["told_by"]) for one in found] == [
        {"hooks", "transcript"}, {"hooks"},
    ]  # fmt: skip
