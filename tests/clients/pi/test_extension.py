"""The extension that pi loads, in Node: each event is kept once, in order, and pi never waits."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.project import Project
from khive_persist.tools import TOOLS
from khive_persist.tools.tool import OwnFiles
from tests import stored

NODE = shutil.which("node")
HOST = Path(__file__).with_name("events.mjs")
LIMIT_SECONDS = 60

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not there")


def call(number: int) -> list[dict[str, Any]]:
    name = {"toolCallId": f"c{number}", "toolName": "bash"}
    command = {"command": f"echo {number}"}
    return [
        {"type": "tool_execution_start", **name, "args": command},
        {"type": "tool_result", **name, "input": command, "isError": False, "content": []},
    ]


LONG = {"type": "input", "text": "ü" * 400_000, "source": "interactive"}
EVENTS: list[dict[str, Any]] = [
    {"type": "session_start", "reason": "startup"},
    {"type": "input", "text": "run it 😀 $HOME `id` '\"\n", "source": "interactive"},
    *call(1),
    *call(2),
    LONG,
    *call(3),
    {"type": "session_shutdown", "reason": "quit"},
]


def written(tmp_path: Path, command: str, *names: str) -> list[Path]:
    """Write the extension as pi has it, under each of some names."""
    registration = TOOLS["pi"].registration
    assert isinstance(registration, OwnFiles)
    (content,) = registration.contents(lambda _hook: command).values()
    for name in names:
        (tmp_path / name).write_text(content)
    return [tmp_path / name for name in names]


def run(
    project: Project,
    tmp_path: Path,
    events: list[dict[str, Any]],
    *copies: Path,
    turns: bool = False,
    **environment: str,
) -> None:
    """Let the extensions see events in a process that ends with the last; it says nothing."""
    lines = tmp_path / "events.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events))
    words = [str(HOST), str(lines), str(project.root), "turns" if turns else "", *map(str, copies)]
    ended = subprocess.run(
        [str(NODE), *words], env=os.environ | environment, capture_output=True, check=False,
        timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def kept(project: Project, count: int) -> list[dict[str, Any]]:
    """Return what is kept, once it is so many events: the process ended before their hooks."""
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        drain(project)
        contents = [*stored.contents(project, "agent_hooks.db").values()]
        if len(contents) >= count or time.monotonic() > limit:
            return [content["payload"] for content in contents]
        time.sleep(0.05)


@pytest.mark.parametrize("turns", [False, True])
def test_every_event_is_kept_whole_and_in_order(
    project: Project, tmp_path: Path, turns: bool
) -> None:
    run(project, tmp_path, EVENTS, *written(tmp_path, hook_command("pi"), "x.cjs"), turns=turns)
    payloads = kept(project, len(EVENTS))
    assert [payload["event"] for payload in payloads] == EVENTS
    for payload in payloads:
        assert payload["hook_event_name"] == payload["event"]["type"]
        assert (payload["session_id"], payload["cwd"]) == ("s1", str(project.root))
        assert payload["transcript_path"].endswith("_s1.jsonl")


def test_the_users_copy_and_the_projects_send_an_event_once(
    project: Project, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    command = f"echo x >> {log}; {hook_command('pi')}"
    run(project, tmp_path, EVENTS, *written(tmp_path, command, "x.cjs", "y.cjs"))
    assert len(kept(project, len(EVENTS))) == len(EVENTS)
    assert len(log.read_text().split()) == len(EVENTS)


def test_after_a_reload_events_still_come_once(project: Project, tmp_path: Path) -> None:
    again = [{"type": "session_start", "reason": "reload"}, *EVENTS[1:]]
    copies = written(tmp_path, hook_command("pi"), "x.cjs", "y.cjs")
    run(project, tmp_path, [*EVENTS, *again], *copies)
    assert [payload["event"] for payload in kept(project, 2 * len(EVENTS))] == [*EVENTS, *again]


def test_the_conversation_so_far_is_left_out_and_counted(project: Project, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    turn = {"type": "turn_end", "turnIndex": 0, "message": messages[1]}
    events = [
        EVENTS[0],
        turn | {"context": {"messages": messages}},
        {"type": "agent_end", "messages": messages},
    ]
    run(project, tmp_path, events, *written(tmp_path, hook_command("pi"), "x.cjs"))
    _, of_turn, of_run = kept(project, len(events))
    assert of_turn["event"] == turn
    assert of_turn["omitted"] == {"context": 2}
    assert of_run["event"] == {"type": "agent_end", "messages": messages[1:]}
    assert of_run["omitted"] == {"messages": 1}


@pytest.mark.parametrize(
    "command", ["/nonexistent/khive-hook --tool pi || exit 0", "exit 127", "kill -9 $$", "sleep 60"]
)
def test_pi_goes_on_where_the_hook_does_not(project: Project, tmp_path: Path, command: str) -> None:
    began = time.monotonic()
    run(project, tmp_path, EVENTS, *written(tmp_path, command, "x.cjs"))
    assert time.monotonic() - began < LIMIT_SECONDS / 2


def test_an_event_that_is_no_json_costs_itself_alone(project: Project, tmp_path: Path) -> None:
    odd = {"type": "input", "number": "12345678901234567890"}
    events = [EVENTS[0], odd, *EVENTS[1:]]
    run(project, tmp_path, events, *written(tmp_path, hook_command("pi"), "x.cjs"))
    assert [payload["event"] for payload in kept(project, len(EVENTS))] == EVENTS


def test_without_room_for_a_file_a_pipe_takes_an_event(project: Project, tmp_path: Path) -> None:
    events = [event for event in EVENTS if event is not LONG]
    copies = written(tmp_path, hook_command("pi"), "x.cjs")
    run(project, tmp_path, events, *copies, TMPDIR="/nonexistent")
    assert [payload["event"] for payload in kept(project, len(events))] == events


def test_a_working_directory_that_is_gone_loses_nothing(project: Project, tmp_path: Path) -> None:
    (copy,) = written(tmp_path, hook_command("pi", project.root), "x.cjs")
    gone = Project(tmp_path / "gone")
    run(gone, tmp_path, EVENTS, copy)
    assert len(kept(project, len(EVENTS))) == len(EVENTS)
