"""Each message once, and in the session and of the agent that said it, whoever repeats it."""

import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.tools.claude_code.inheritance import end_of_original
from khive_persist.transcripts.sync import Sync
from tests.stored import select

INPUTS = Path(__file__).parent / "identity"
FIRST, SECOND = "99999999-9999-4999-8999-999999999999", "11111111-1111-4111-8111-111111111111"
Lines = list[dict[str, Any]]


def read(project: Project, *paths: Path) -> None:
    sync = Sync(project, Settings(), None)
    for path in paths:
        sync.run(path, "claude-code")


def rows(project: Project, columns: str) -> list[Any]:
    sql = f"SELECT {columns} FROM conversation ORDER BY created_at, id"
    return select(project, "conversations.db", sql)


def tokens(project: Project, by: str) -> dict[Any, Any]:
    with closing(sqlite3.connect(project.database("conversations.db"))) as connection:
        found = connection.execute(
            f"SELECT {by}, count(*), sum(tokens_input), sum(tokens_output) FROM conversation"
            f" WHERE tokens_output IS NOT NULL GROUP BY {by}"
        )
        return {group: counts for group, *counts in found}


def transcript(path: Path, lines: Lines) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def lines_of(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def line(number: int, kind: str, content: Any, parent: int | None = None, **more: Any) -> Any:
    message: dict[str, Any] = {"role": kind, "content": content}
    if kind == "assistant":
        message |= {"id": "relay", "model": "m", "stop_reason": "end_turn"}
        message |= {"usage": {"input_tokens": 10, "output_tokens": 1}}
        message |= more.pop("message", {})
    return {
        "type": kind, "uuid": f"u{number}", "parentUuid": parent and f"u{parent}",
        "sessionId": "s", "timestamp": f"2026-11-20T10:00:{number:02}.000Z", "message": message,
    } | more  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, SECOND])))
def test_what_a_session_in_the_background_repeats_is_the_originals(
    project: Project, order: tuple[str, ...]
) -> None:
    read(project, *(INPUTS / "copies" / f"{name}.jsonl" for name in order))
    assert tokens(project, "session_id") == {FIRST: [2, 3000, 300], SECOND: [1, 3000, 300]}
    assert len(rows(project, "id")) == 6
    instants = {str(at) for (at,) in rows(project, "created_at")}
    assert min(instants) == "2026-11-20 10:00:01.000000"


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, SECOND])))
def test_a_relay_gives_one_id_to_the_answers_of_all_sessions(
    project: Project, order: tuple[str, ...]
) -> None:
    read(project, *(INPUTS / "relay" / f"{name}.jsonl" for name in order))
    assert tokens(project, "session_id") == {FIRST: [1, 2000, 200], SECOND: [1, 1000, 100]}
    assert [text for (text,) in rows(project, "text")] == [
        "question 0", "answer of session 0", "question 1", "answer of session 1",
    ]  # fmt: skip


def test_a_relay_gives_one_id_to_the_answers_of_one_session(
    project: Project, tmp_path: Path
) -> None:
    call = [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]
    lines = [
        line(1, "user", "one"),
        line(2, "assistant", [{"type": "text", "text": "yes"}], 1),
        line(3, "user", "two", 2),
        # The same once more, and then a tool call on a line of its own.
        line(4, "assistant", [{"type": "text", "text": "yes"}], 3),
        line(5, "assistant", call, 4, message={"stop_reason": "tool_use"}),
        line(6, "user", result, 5),
        line(7, "assistant", [{"type": "text", "text": "done"}], 6),
    ]
    path = transcript(tmp_path / "s.jsonl", lines)
    for end in range(1, len(lines) + 1):
        transcript(path, lines[:end])
        read(project, path)
    assert tokens(project, "session_id") == {"s": [3, 30, 3]}
    answers = [text for role, text in rows(project, "role, text") if role == "assistant"]
    assert answers == ["yes", "yes", "done"]


def test_an_answer_goes_on_after_the_results_of_its_first_calls(
    project: Project, tmp_path: Path
) -> None:
    """Its server gives true ids; its tools run while it is still being said."""
    blocks = [{"type": "tool_use", "id": f"t{n}", "name": "Bash", "input": {}} for n in (1, 2)]
    for request in ({}, {"requestId": "r1"}):
        session = f"s{len(request)}"
        said = {"id": f"msg_{session}", "stop_reason": None}
        lines = [
            line(1, "user", "go"),
            line(2, "assistant", blocks[:1], 1, message=said, **request),
            line(3, "user", [{"type": "tool_result", "tool_use_id": "t1", "content": ""}], 2),
            line(4, "assistant", blocks[1:], 3, message=said, **request),
        ]
        named = [one | {"sessionId": session, "uuid": session + one["uuid"]} for one in lines]
        read(project, transcript(tmp_path / f"{session}.jsonl", named))
    assert tokens(project, "session_id") == {"s0": [1, 10, 1], "s1": [1, 10, 1]}


def _same(number: int, inherited: Any) -> Any:
    return inherited


def _other_uuids(number: int, inherited: Any) -> Any:
    return inherited | {"uuid": f"copy-{number}", "parentUuid": f"copy-{number - 1}"}


def _other_requests(number: int, inherited: Any) -> Any:
    return _other_uuids(number, inherited) | {"requestId": f"req_copy_{number}"}


@pytest.mark.parametrize("is_agent_first", [False, True])
@pytest.mark.parametrize("change", [_same, _other_uuids, _other_requests])
def test_an_agent_begins_with_the_lines_of_its_session(
    project: Project, tmp_path: Path, change: Any, is_agent_first: bool
) -> None:
    session = INPUTS / "inherited" / f"{FIRST}.jsonl"
    (agent,) = (INPUTS / "inherited").rglob("agent-*.jsonl")
    lines = [
        change(number, one) if number < 3 else one for number, one in enumerate(lines_of(agent))
    ]
    paths = [
        transcript(tmp_path / session.name, lines_of(session)),
        transcript(tmp_path / FIRST / "subagents" / agent.name, lines),
    ]
    read(project, *(reversed(paths) if is_agent_first else paths))
    assert tokens(project, "coalesce(agent_id, '')") == {
        "": [1, 1000, 100],
        "fork1": [1, 2000, 300],
    }
    assert rows(project, "role, agent_id, text") == [
        ("user", None, "count the sheep"), ("assistant", None, "I count"),
        ("tool", None, None), ("assistant", "fork1", "agent says"),
    ]  # fmt: skip


@pytest.mark.parametrize("is_agent_first", [False, True])
def test_what_an_agent_repeats_is_its_sessions_wherever_that_lies(
    project: Project, tmp_path: Path, is_agent_first: bool
) -> None:
    session = INPUTS / "inherited" / f"{FIRST}.jsonl"
    (agent,) = (INPUTS / "inherited").rglob("agent-*.jsonl")
    paths = [
        transcript(tmp_path / "one" / session.name, lines_of(session)),
        transcript(tmp_path / "other" / agent.name, lines_of(agent)),
    ]
    read(project, *(reversed(paths) if is_agent_first else paths))
    assert tokens(project, "coalesce(agent_id, '')") == {
        "": [1, 1000, 100],
        "fork1": [1, 2000, 300],
    }


def test_a_line_is_found_wherever_it_lies_in_a_long_file(tmp_path: Path) -> None:
    asked = line(1, "user", "x" * ((1 << 20) - 100))
    lines = [asked | {"timestamp": f"t{number}"} for number in range(4)]
    path = transcript(tmp_path / "s.jsonl", [*lines, line(5, "user", "short")])
    ends = list(itertools.accumulate(map(len, path.read_bytes().splitlines(keepends=True))))
    found = 0
    for document, end in zip(lines_of(path), ends, strict=True):
        assert end_of_original(path, found, document) == end
        found = end
    assert end_of_original(path, 0, lines_of(path)[-1]) == ends[-1]
    assert end_of_original(path, ends[0], lines_of(path)[0]) is None
    assert end_of_original(path, 0, lines[2] | {"timestamp": "t1 "}) is None
    assert end_of_original(tmp_path / "none", 0, lines[0]) is None


def test_the_larger_usage_of_a_message_counts(project: Project, tmp_path: Path) -> None:
    path = INPUTS / "smaller_usage" / f"{FIRST}.jsonl"
    read(project, path)
    assert tokens(project, "session_id") == {FIRST: [1, 10, 159]}
    # In another order, and with the line that has it said again, it is the same.
    first, *parts = lines_of(path)
    read(project, transcript(tmp_path / "t.jsonl", [first, *reversed(parts), parts[0]]))
    assert tokens(project, "session_id") == {FIRST: [1, 10, 159]}


def test_what_the_client_says_in_the_project_of_a_model_is_of_no_model(
    project: Project, tmp_path: Path
) -> None:
    said = {"model": "<synthetic>", "id": "8f14"}
    text = [{"type": "text", "text": "API Error"}]
    read(project, transcript(tmp_path / "t.jsonl", [line(1, "assistant", text, message=said)]))
    assert rows(project, "role, text, model, tokens_output") == [
        ("assistant", "API Error", None, None)
    ]


def prompts(project: Project) -> list[str]:
    return [
        text for role, kind, text in rows(project, "role, kind, text")
        if (role, kind) == ("user", "message")
    ]  # fmt: skip


def test_prompts_that_were_typed_while_the_agent_worked(project: Project) -> None:
    read(project, INPUTS / "queued" / f"{FIRST}.jsonl")
    assert prompts(project) == ["start the build", "lint it as well", "and push when green"]
    said_at = dict(rows(project, "text, created_at"))
    assert said_at["lint it as well"] == "2026-11-20 10:00:03.000000"


def _queue(number: int, operation: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    at = f"2026-11-20T10:00:{number:02}.000Z"
    content = {} if text is None else {"content": text}
    base = {"type": "queue-operation", "operation": operation, "timestamp": at, "sessionId": "s"}
    return base | content | more


def _attached(number: int, text: Any, mode: str = "prompt") -> dict[str, Any]:
    attachment = {"type": "queued_command", "prompt": text, "commandMode": mode}
    return {"type": "attachment", "uuid": f"a{number}", "sessionId": "s", "attachment": attachment,
            "timestamp": f"2026-11-20T10:00:{number:02}.000Z"}  # fmt: skip


TAKEN = {"reason": "absorbed_mid_turn"}
NOTICE = "<task-notification>\n<task-id>b</task-id>"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        # Both forms of one prompt, in either order; twice is twice.
        ([_queue(1, "enqueue", "a"), _queue(2, "remove", "a", **TAKEN), _attached(3, "a")], ["a"]),
        ([_queue(1, "enqueue", "a"), _attached(2, "a"), _queue(3, "remove", "a", **TAKEN)], ["a"]),
        ([_attached(1, "a"), _attached(2, "a")], ["a", "a"]),
        ([_attached(1, [{"type": "text", "text": "a"}])], ["a"]),
        # It waited for the end of the turn: then it is a line of the user's.
        ([_queue(1, "enqueue", "a"), _queue(2, "dequeue"), line(3, "user", "a")], ["a"]),
        # Taken back, and changed.
        ([_queue(1, "enqueue", "a"), _queue(2, "popAll", "a")], []),
        ([_queue(1, "enqueue", "a"), _queue(2, "remove", "a", reason="cancelled")], []),
        # Earlier versions do not repeat it.
        ([_queue(1, "enqueue", "a"), _queue(2, "remove"), _attached(3, "a")], ["a"]),
        ([_queue(1, "enqueue", NOTICE), _queue(2, "remove", NOTICE, **TAKEN)], []),
        ([_attached(1, NOTICE, "task-notification")], []),
    ],
)
def test_the_queue_of_prompts(
    project: Project, tmp_path: Path, lines: Lines, wanted: list[str]
) -> None:
    for end in range(1, len(lines) + 1):
        read(project, transcript(tmp_path / "t.jsonl", lines[:end]))
    assert prompts(project) == wanted


def test_nothing_of_a_prompt_that_waits_is_in_the_sync_position(
    project: Project, tmp_path: Path
) -> None:
    read(project, transcript(tmp_path / "t.jsonl", [_queue(1, "enqueue", "my password is x")]))
    assert not any(b"password" in path.read_bytes() for path in (project.khive / "sync").iterdir())


@pytest.mark.parametrize(
    ("fields", "content", "kind"),
    [
        ({}, "do it", "message"),
        ({"origin": {"kind": "human"}}, "do it", "message"),
        ({"origin": {"kind": "task-notification"}}, "it is done", "task_notification"),
        ({}, NOTICE, "task_notification"),
        ({"isMeta": True}, "Base directory for this skill", "meta"),
        ({"isCompactSummary": True}, "This session is continued", "compaction"),
        ({}, "<local-command-stdout>Bye!</local-command-stdout>", "command_output"),
        ({}, "<command-name>/exit</command-name>", "command"),
        ({}, "<bash-input>ls</bash-input>", "command"),
        ({}, [{"type": "text", "text": "[Request interrupted by user]"}], "interruption"),
        ({}, 'Another Claude session sent a message:\n<teammate-message teammate_id="a">',
         "teammate_message"),
        ({}, [{"type": "text", "text": "<ide_opened_file>a.py</ide_opened_file>"},
              {"type": "text", "text": "explain"}], "message"),
    ],
)  # fmt: skip
def test_what_the_client_says_in_the_users_name_is_no_prompt(
    project: Project, tmp_path: Path, fields: Any, content: Any, kind: str
) -> None:
    read(project, transcript(tmp_path / "t.jsonl", [line(1, "user", content) | fields]))
    assert rows(project, "role, kind") == [("user", kind)]


@pytest.mark.parametrize(
    ("tool", "begin"),
    [
        ("codex", "<environment_context>\n  <cwd>/x</cwd>"),
        ("codex", "# AGENTS.md instructions for /x"),
        ("codex", "<turn_aborted>\nThe user interrupted"),
        ("codex", '<subagent_notification>\n{"agent_path":"a"}'),
        ("gemini-cli", "<session_context>\nThis is the Gemini CLI."),
        ("gemini-cli", "This is the Gemini CLI. We are setting up the context for our chat.\n"),
    ],
)
def test_so_it_is_with_the_other_tools(
    project: Project, tmp_path: Path, tool: str, begin: str
) -> None:
    at = "2026-11-20T10:00:01.000Z"
    said: list[Any]
    lines: list[dict[str, Any]]
    if tool == "codex":
        said = [[{"type": "input_text", "text": text}] for text in (begin, "do it")]
        items = [{"type": "message", "role": "user", "content": content} for content in said]
        meta = {"type": "session_meta", "payload": {"id": "s"}, "timestamp": at}
        lines = [meta, *({"type": "response_item", "payload": i, "timestamp": at} for i in items)]
    else:
        said = [[{"text": text}] for text in (begin, "do it")]
        lines = [{"sessionId": "s", "projectHash": "h"}] + [
            {"id": str(number), "type": "user", "content": content, "timestamp": at}
            for number, content in enumerate(said)
        ]
    Sync(project, Settings(), None).run(transcript(tmp_path / "t.jsonl", lines), tool)
    assert prompts(project) == ["do it"]
    assert len(rows(project, "id")) == 2
