"""Forks and resumes: sessions that have a history in common, or that name each other."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.sessions.lineage.links import Links
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync
from tests.lineage.agent_lines import written
from tests.transcripts.test_scenarios import SCENARIOS, lines


def links(project: Project, session: str) -> Links:
    return anyio.run(read_lineage, project, session, PriceTable()).links


def synced(project: Project, tool: str, paths: list[Path]) -> None:
    for path in paths:
        Sync(project, Settings(), None).run(path, tool)


def messages(paths: list[Path], session: str) -> set[str]:
    """The messages of a session's file, by what every copy of them has in common."""
    return {
        line.get("message", {}).get("id") or line.get("forkedFrom", line).get("messageUuid")
        or line["uuid"]
        for path in paths
        if path.stem == session
        for line in lines(path)
        if line["type"] in ("user", "assistant", "attachment", "system")
    }  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("scenario", ["fork", "branch", "terminal-fork"])
def test_claude_code_forks_have_the_messages_of_their_origin(
    project: Project, scenario: str, order: int
) -> None:
    paths = sorted((SCENARIOS / "claude-code" / scenario).rglob("*.jsonl"))
    synced(project, "claude-code", paths[::order])

    def began(path: Path) -> str:
        return next(str(line["timestamp"]) for line in lines(path) if "timestamp" in line)

    origin, *forks = [path.stem for path in sorted(paths, key=began)]
    found = links(project, origin)
    assert found.forked_from is None
    assert sorted(link.session_id for link in found.forks) == sorted(forks)
    for fork in forks:
        told = links(project, fork).forked_from
        assert told is not None
        common = messages(paths, origin) & messages(paths, fork)
        assert (told.session_id, told.is_recorded, told.messages) == (origin, True, len(common))
        assert len(common) >= 4
        assert links(project, fork).forks == ()


def test_a_branch_names_its_origin_also_where_that_is_not_recorded(project: Project) -> None:
    paths = sorted((SCENARIOS / "claude-code/branch").rglob("*.jsonl"))
    (branch,) = [path for path in paths if any("forkedFrom" in line for line in lines(path))]
    (origin,) = {line["forkedFrom"]["sessionId"] for line in lines(branch) if "forkedFrom" in line}
    synced(project, "claude-code", [branch])
    told = links(project, branch.stem).forked_from
    assert told is not None
    assert (told.session_id, told.is_recorded, told.messages) == (origin, False, None)


def test_two_branches_of_one_that_is_not_recorded_are_not_each_others(
    project: Project, tmp_path: Path
) -> None:
    origin = {"forkedFrom": {"sessionId": "gone", "messageUuid": "1"}}
    for session in ("x", "y"):
        documents = [
            said_at(session, "1") | origin,
            said_at(session, {"x": "2", "y": "3"}[session]),
        ]
        synced(project, "claude-code", [written(tmp_path / f"{session}.jsonl", documents)])
    for session in ("x", "y"):
        found = links(project, session)
        assert found.forked_from is not None
        assert found.forked_from.session_id == "gone"
        assert found.forks == ()


def test_codex_forks_name_their_origin(project: Project) -> None:
    paths = sorted((SCENARIOS / "codex/fork").rglob("*.jsonl"))
    metas = [next(lines(path))["payload"] for path in paths]
    said = {meta["id"]: meta.get("forked_from_id") for meta in metas}
    assert sum(origin is not None for origin in said.values()) == 2
    synced(project, "codex", paths)
    for session, origin in said.items():
        found = links(project, session)
        assert (found.forked_from and found.forked_from.session_id) == origin
        forks = [one for one, of in said.items() if of == session]
        assert [link.session_id for link in found.forks] == forks


def test_what_a_codex_agent_inherits_makes_it_no_fork(project: Project) -> None:
    paths = sorted((SCENARIOS / "codex/inherited").rglob("*.jsonl"))
    synced(project, "codex", paths)
    assert links(project, next(lines(paths[0]))["payload"]["session_id"]) == Links()


def test_a_fork_of_a_fork_is_of_the_one_that_spoke_last(project: Project, tmp_path: Path) -> None:
    said = {"a": ["1", "2"], "b": ["1", "2", "3"], "c": ["1", "2", "3", "4"], "d": ["1", "5"]}
    paths = [
        written(tmp_path / f"{session}.jsonl", [said_at(session, uuid) for uuid in uuids])
        for session, uuids in said.items()
    ]
    synced(project, "claude-code", paths)
    origins = {session: links(project, session).forked_from for session in said}
    assert {session: link and link.session_id for session, link in origins.items()} == {
        "a": None, "b": "a", "c": "b", "d": "a",
    }  # fmt: skip
    assert [link.session_id for link in links(project, "a").forks] == ["d", "b"]
    assert [link.messages for link in links(project, "a").forks] == [1, 2]


def said_at(session: str, uuid: str) -> dict[str, Any]:
    return {"type": "user", "uuid": uuid, "sessionId": session, "message": {"content": uuid},
            "timestamp": f"2026-11-21T10:00:0{uuid}.000Z"}  # fmt: skip


def test_older_codex_says_which_session_started_one(project: Project, tmp_path: Path) -> None:
    def thread(id: str, **named: str) -> Path:
        meta = {"type": "session_meta", "payload": {"id": id, **named}}
        item = {"type": "response_item", "payload": {"type": "message", "role": "user"}}
        return written(tmp_path / f"rollout-{id}.jsonl", [meta, item])

    synced(project, "codex", [thread("s-child", parent_thread_id="s-parent"), thread("s-parent")])
    child, parent = links(project, "s-child"), links(project, "s-parent")
    assert child.started_by is not None
    assert (child.started_by.session_id, child.started_by.is_recorded) == ("s-parent", True)
    assert [link.session_id for link in parent.started] == ["s-child"]


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_a_resume_under_the_same_id_starts_the_session_again(project: Project, tool: str) -> None:
    name = {"claude-code": "fork", "codex": "resume", "gemini-cli": "resume"}[tool]
    synced(project, tool, sorted((SCENARIOS / tool / name).rglob("*.jsonl")))
    for source in ("startup", "resume"):
        event = {"session_id": "s", "hook_event_name": "SessionStart", "source": source}
        Spool(project).accept(tool, json.dumps(event).encode())
    drain(project)
    found = anyio.run(read_lineage, project, "s", PriceTable())
    assert [start.source for start in found.starts] == ["startup", "resume"]
    assert found.tool == tool
    assert found.links == Links()


def test_words_in_what_was_said_make_no_link(project: Project, tmp_path: Path) -> None:
    text = '"sessions":["s-2"], "forked_from":"s-2"'
    line = said_at("s-1", "1") | {"toolUseResult": {"sessions": ["s-2"], "forked_from": "s-2"}}
    line["message"] = {"content": text}
    synced(project, "claude-code", [written(tmp_path / "t.jsonl", [line])])
    assert links(project, "s-1") == Links()
