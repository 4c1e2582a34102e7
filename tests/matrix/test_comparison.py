"""What was sent is compared with what is stored by its text, and each event counts once."""

import json
import sqlite3
import subprocess
import tomllib
from pathlib import Path

from clients import recorder
from clients.comparison import Events, Stored, Tokens, compare, names_of, stored_events, tokens
from clients.mock_model import Told
from clients.plugin_recorder import compare_given
from clients.wire import Usage

TOOL = "pi"


def rows(*payloads: str, tool: str = TOOL) -> list[Stored]:
    return [Stored(tool, payload, is_reconstructed=False) for payload in payloads]


def test_equal_is_what_has_the_same_text() -> None:
    sent = ['{"a":1.50}', '{"b":1}', '{"b":1}']
    assert compare(sent, rows(*sent, '{"c":1}'), TOOL).are_whole
    events = compare(sent, rows('{"a":1.5}', '{"b":1}', '{"b":1}'), TOOL)
    assert events == Events(sent=3, stored=3, equal=2)
    assert not events.are_equal
    assert compare(sent, rows(*sent), TOOL).are_equal


def test_an_event_that_is_stored_twice_is_no_equal() -> None:
    twice = compare(['{"a":1}'], rows('{"a":1}', '{"b":1}', '{"b":1}'), TOOL)
    assert twice.repeated == 1
    assert not twice.are_whole
    assert not compare(['{"a":1}'], rows('{"a":1}', '{"a":1}'), TOOL).are_equal


def test_what_the_client_stopped_the_recorder_at_may_be_stored_or_not() -> None:
    assert compare(['{"a":1}', ""], rows('{"a":1}', '{"b":1}'), TOOL).are_equal
    assert compare(['{"a":1}', ""], rows('{"a":1}'), TOOL).are_equal
    assert not compare(['{"a":1}', ""], rows('{"b":1}'), TOOL).are_equal
    assert not compare(['{"a":1}', ""], rows('{"a":1}', "{}", "[]"), TOOL).are_equal


def test_an_event_of_another_client_and_a_reconstructed_one_count_apart() -> None:
    stored = [*rows('{"a":1}', tool="droid"), Stored(TOOL, '{"a":1}', is_reconstructed=True)]
    events = compare(['{"a":1}'], stored, TOOL)
    assert events == Events(sent=1, foreign=1, reconstructed=1)
    assert not compare(['{"a":1}'], [*rows('{"a":1}'), *stored], TOOL).are_equal


def test_stored_payloads_are_read_as_they_stand(tmp_path: Path) -> None:
    payload = '{"text": "\\u00e9 \\"payload\\":", "n": 1.50}'
    content = f'{{"tool":"pi","metadata":{{"payload":1}},"payload":{payload},"success":true}}'
    with sqlite3.connect(tmp_path / "agent_hooks.db") as connection:
        connection.execute("CREATE TABLE hook_events (content JSON)")
        connection.execute("INSERT INTO hook_events VALUES (?)", [content])
    connection.close()
    assert stored_events(tmp_path) == rows(payload)


def test_a_plugin_s_events_are_compared_by_what_the_client_gave() -> None:
    event = {"type": "session.idle", "properties": {"x": 1}}
    sent = [
        json.dumps({"hook_event_name": "session.idle", "event": event}),
        json.dumps({"hook_event_name": "tool.execute.before", "tool_input": {"a": 1}}),
    ]
    stored = [
        json.dumps({"hook_event_name": "session.idle", "sequence": 1, "event": event}),
        json.dumps(
            {"hook_event_name": "tool.execute.before", "tool_input": {"a": 1}, "input": {"y": 1}}
        ),
    ]
    assert compare_given(sent, rows(*stored), TOOL).are_equal
    other = json.dumps({"hook_event_name": "session.idle", "event": {}})
    assert compare_given(sent, rows(other, stored[1]), TOOL).equal == 1


def test_events_have_the_names_that_they_are_registered_by() -> None:
    texts = [
        '{"hookName":"agent_end"}',
        '{"agentName":"x"}',
        '{"hook_event_name":"Stop"}',
        "{}",
        "",
    ]
    registered = {"agent_end": "TaskComplete", "agentName": "SubagentStart"}
    assert names_of(texts, registered) == ["Stop", "SubagentStart", "TaskComplete"]


def test_tokens_are_compared_class_by_class() -> None:
    told = [
        Told(1, "chat", "m", "main", 0, "", Usage(10, 2, 3)),
        Told(2, "chat", "m", "", 0, "", Usage(1, 1, 1)),
    ]
    sums = {"input": 9, "cache_write": 1, "cache_read": 2, "output": 3}
    assert tokens(told, [sums]) == Tokens(Usage(10, 2, 3), Usage(1, 1, 1), Usage(10, 2, 3))
    assert tokens(told, [sums]).are_equal
    besides = {"input": 1, "cache_write": 0, "cache_read": 1, "output": 1}
    assert tokens(told, [sums, besides]).are_equal
    moved = sums | {"input": 10, "cache_read": 1}
    assert not tokens(told, [moved]).are_equal
    assert not tokens(told, [sums, sums]).are_equal
    assert tokens(told, []).are_none
    assert not tokens(told, [sums]).are_none


def test_the_recorder_keeps_each_event_as_it_came(tmp_path: Path) -> None:
    (tmp_path / "sent").mkdir()
    script = recorder.script(tmp_path, '{"cancel":false}')
    texts = ['{"a": "é"}', '{"b": 1.50}']
    for text in texts:
        done = subprocess.run([script], input=text.encode(), capture_output=True, check=True)
        assert done.stdout == b'{"cancel":false}'
    assert sorted(recorder.sent(tmp_path / "sent")) == texts


def test_the_recorder_stands_beside_each_of_our_hooks(tmp_path: Path) -> None:
    ours = {"type": "command", "command": "~/.khive/bin/khive-hook --tool x", "timeout": 5}
    theirs = {"type": "command", "command": "true"}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"hooks": {"Stop": [{"matcher": "m", "hooks": [theirs, ours]}]}}))
    recorder.add_to_json(path, "/r")
    (group,) = json.loads(path.read_text())["hooks"]["Stop"]
    assert group["hooks"] == [theirs, ours, ours | {"command": "/r"}]


def test_the_recorder_stands_beside_our_tables_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('a = 1\n[[hooks]]\nevent = "Stop"\ncommand = "khive-hook"\ntimeout = 5\n')
    recorder.add_to_toml(path, "/r")
    first, second = tomllib.loads(path.read_text())["hooks"]
    assert second == first | {"command": "/r"}
