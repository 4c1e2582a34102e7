"""The plugin that OpenCode and Kilo load, in Node: each event is kept once, in order, whole."""

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.hook_config.command import hook_command
from khive_persist.project import Project
from khive_persist.tools.opencode import plugin
from tests import stored

NODE = shutil.which("node")
HOST = Path(__file__).with_name("host.mjs")
LIMIT_SECONDS = 60
SESSION = "ses_1"
AGENT = "ses_2"

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not there")


def bus(kind: str, **properties: Any) -> dict[str, Any]:
    return {"hook": "event", "input": {"id": "evt", "type": kind, "properties": properties}}


def call(number: int, session: str = SESSION) -> list[dict[str, Any]]:
    names = {"tool": "bash", "sessionID": session, "callID": f"c{number}"}
    arguments = {"command": f"echo {number} '\"$HOME`id`\n🎈"}
    output = {"title": "t", "output": f"{number}\n", "metadata": {"exit": 0}}
    return [
        {"hook": "tool.execute.before", "input": names, "output": {"args": arguments}},
        {"hook": "tool.execute.after", "input": names | {"args": arguments}, "output": output},
    ]


def failed(number: int) -> dict[str, Any]:
    state = {"status": "error", "input": {"command": "x"}, "error": "no"}
    part = {"id": f"p{number}", "type": "tool", "tool": "bash", "callID": f"c{number}"}
    return bus("message.part.updated", sessionID=SESSION, part=part | {"state": state})


def written(tmp_path: Path, command: str, *names: str) -> list[Path]:
    """Write the plugin as the client has it, under each of some names."""
    (content,) = plugin.contents(lambda _hook: command).values()
    for name in names:
        (tmp_path / name).write_text(content)
    return [tmp_path / name for name in names]


def run(
    project: Project,
    tmp_path: Path,
    events: list[dict[str, Any]],
    *copies: Path,
    end: str = "leave",
    **environment: str,
) -> int:
    """Let copies of the plugin see events in a process, which says nothing; return its code."""
    lines = tmp_path / "events.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events))
    words = [str(NODE), str(HOST), str(lines), str(project.root), end, *map(str, copies)]
    ended = subprocess.run(
        words, env=os.environ | environment, capture_output=True, check=False,
        timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == (b"", b"")
    return ended.returncode


def kept(project: Project, count: int) -> list[dict[str, Any]]:
    """Return the payloads that are kept, once they are so many: their hooks outlive the client."""
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        drain(project)
        contents = [*stored.contents(project, "agent_hooks.db").values()]
        if len(contents) >= count or time.monotonic() > limit:
            return [content["payload"] for content in contents]
        time.sleep(0.05)


@pytest.mark.parametrize("end", ["leave", "dispose", ""])
def test_every_event_is_kept_whole_once_and_in_order(
    project: Project, tmp_path: Path, end: str
) -> None:
    events = [bus("session.created", sessionID=SESSION, info={"id": SESSION, "title": "t"})]
    events += [event for number in range(20) for event in call(number)]
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs", "b.mjs")
    assert run(project, tmp_path, events, *copies, end=end) == 0
    payloads = kept(project, len(events))
    assert [payload["sequence"] for payload in payloads] == [*range(1, len(events) + 1)]
    assert payloads[0]["event"] == events[0]["input"]
    for payload, event in zip(payloads[1:], events[1:], strict=True):
        assert payload["hook_event_name"] == event["hook"]
        assert (payload["session_id"], payload["client"]) == (SESSION, "opencode")
        assert payload["cwd"] == str(project.root)
        is_after = event["hook"] == "tool.execute.after"
        given = event["input"] if is_after else event["output"]
        assert payload["tool_input"] == given["args"]
        assert payload.get("tool_response") == (event["output"] if is_after else None)


def test_an_event_that_was_handed_on_outlives_a_client_that_is_killed(
    project: Project, tmp_path: Path
) -> None:
    large = bus("session.idle", sessionID=SESSION, text="ü" * 1_000_000)
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    assert run(project, tmp_path, [large], *copies, end="kill") == -9
    assert [payload["event"] for payload in kept(project, 1)] == [large["input"]]


def test_without_room_for_a_file_a_pipe_carries_it(project: Project, tmp_path: Path) -> None:
    events = [bus("session.idle", sessionID=SESSION), *call(1)]
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    missing = str(tmp_path / "missing")
    assert run(project, tmp_path, events, *copies, end="", TMPDIR=missing) == 0
    assert len(kept(project, len(events))) == len(events)


def test_what_waits_at_the_end_comes_after_what_still_runs(
    project: Project, tmp_path: Path
) -> None:
    log = shlex.quote(str(tmp_path / "log"))
    # The first hook is the slowest, unless others come before it.
    late = f"n=0; while [ ! -e {log} ] && [ $n -lt 20 ]; do n=$((n + 1)); sleep 0.05; done"
    first = f"""case $p in *'"sequence":1,'*) {late};; esac"""
    command = f'p=$(cat); {first}; echo "$p" >> {log}'
    events = [bus("session.idle", sessionID=SESSION, n=n) for n in range(20)]
    assert run(project, tmp_path, events, *written(tmp_path, command, "a.mjs")) == 0
    limit = time.monotonic() + LIMIT_SECONDS
    lines: list[str] = []
    while time.monotonic() < limit and len(lines) < len(events):
        time.sleep(0.05)
        if (tmp_path / "log").exists():
            lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [*range(1, 21)]


def test_what_is_told_again_and_again_is_sent_once(project: Project, tmp_path: Path) -> None:
    info = {"id": SESSION, "title": "t"}
    answer = {"id": "m1", "role": "assistant", "sessionID": SESSION}
    done = bus("message.updated", info=answer | {"time": {"completed": 1}})
    retry = bus("session.status", sessionID=SESSION, status={"type": "retry"})
    renamed = bus("session.updated", info=info | {"title": "new"})
    told = [bus("session.created", info=info), renamed, retry, failed(1), done]
    noise = [
        bus("plugin.added", id="x"),
        bus("message.part.delta", sessionID=SESSION, delta="x"),
        bus("session.updated", info=info),
        bus("session.status", sessionID=SESSION, status={"type": "busy"}),
        bus("message.updated", info=answer | {"time": {}}),
        bus("message.updated", info={"id": "m0", "role": "user", "sessionID": SESSION}),
        bus("message.part.updated", part={"id": "p", "type": "text", "text": "x"}),
    ]
    events = [told[0], *noise, *told[1:], renamed, failed(1), done, *noise[:2]]
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    assert run(project, tmp_path, events, *copies) == 0
    assert [payload["event"] for payload in kept(project, len(told))] == [
        event["input"] for event in told
    ]


def test_a_session_of_a_subagent_is_an_agent_of_the_first(project: Project, tmp_path: Path) -> None:
    created = bus("session.created", info={"id": AGENT, "parentID": SESSION})
    below = bus("session.created", info={"id": "ses_3", "parentID": AGENT})
    events = [created, *call(1, AGENT), below, bus("session.idle", sessionID="ses_3"), *call(2)]
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    assert run(project, tmp_path, events, *copies) == 0
    payloads = kept(project, len(events))
    assert {payload["session_id"] for payload in payloads} == {SESSION}
    agents = [payload.get("agent_id") for payload in payloads]
    assert agents == [AGENT, AGENT, AGENT, "ses_3", "ses_3", None, None]


def test_in_kilo_it_is_kilos_whoever_it_was_installed_for(project: Project, tmp_path: Path) -> None:
    command = f'KILO_PID=$$ exec {shlex.quote(str(NODE))} "$@"'
    lines = tmp_path / "events.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in call(1)))
    (copy,) = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    words = [str(HOST), str(lines), str(project.root), "leave", str(copy)]
    subprocess.run(["/bin/sh", "-c", command, "sh", *words], check=True, timeout=LIMIT_SECONDS)
    kept(project, 2)
    contents = stored.contents(project, "agent_hooks.db").values()
    assert [content["tool"] for content in contents] == ["kilo", "kilo"]
    assert [content["event_type"] for content in contents] == ["pre_command", "post_command"]


@pytest.mark.parametrize("command", ["/nowhere/khive-hook --tool opencode", "exit 2", "kill -9 $$"])
def test_a_client_goes_on_where_nothing_takes_its_events(
    project: Project, tmp_path: Path, command: str
) -> None:
    events = [event for number in range(20) for event in call(number)]
    assert run(project, tmp_path, events, *written(tmp_path, command, "a.mjs")) == 0


def test_nothing_that_a_client_hands_over_is_thrown_back(project: Project, tmp_path: Path) -> None:
    hooks = ["event", "chat.message", "tool.execute.before", "tool.execute.after"]
    odd = [{"hook": hook, "make": name} for hook in hooks for name in
           ("circle", "big", "getter", "nothing")]  # fmt: skip
    events = [*odd, bus("session.updated"), bus("message.updated", info=1), *call(1)]
    copies = written(tmp_path, hook_command("opencode", blocks=True), "a.mjs")
    assert run(project, tmp_path, events, *copies) == 0
    limit = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit:
        payloads = kept(project, 1)
        if payloads and payloads[-1].get("tool_use_id") == "c1" and "tool_response" in payloads[-1]:
            break
    assert [payload for payload in payloads if "unserialised" in payload]


def test_more_than_there_is_room_for_is_dropped_and_counted(
    project: Project, tmp_path: Path
) -> None:
    events = [bus("session.idle", sessionID=SESSION, n=n) for n in range(1_200)]
    log = tmp_path / "log"
    command = f"cat >> {shlex.quote(str(log))}"
    assert run(project, tmp_path, events, *written(tmp_path, command, "a.mjs")) == 0
    limit = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit and log.read_bytes().count(b"\n") < 1_001:
        time.sleep(0.05)
    payloads = [json.loads(line) for line in log.read_text().splitlines()]
    # The first is with the hook at once; so many wait for the end.
    assert [payload["sequence"] for payload in payloads] == [*range(1, 1_002)]
