"""What our hook lost of a session of Copilot CLI's: counted, and made anew of the transcript."""

import json
from typing import Any

import anyio
import pytest

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from khive_persist.transcripts.reconciliation import Account, account, backfill
from tests.clients.copilot_cli.recorded import SCENARIOS, Sent, sent_in, session_of, synced
from tests.stored import contents

# The client resumed it without the project's hooks, or it was not run with both dialects.
WITH_HOOKS = [name for name in SCENARIOS if name not in ("compaction", "nested")]
OF_CALLS = ("PreToolUse", "PostToolUse", "PostToolUseFailure")


def recorded(project: Project, scenario: str, sent: list[Sent]) -> None:
    for one in sent:
        Spool(project).accept("copilot-cli", one.raw.encode())
    drain(project)
    synced(project, scenario)


def of(project: Project, scenario: str) -> Account:
    return anyio.run(account, project, session_of(scenario))


def events(project: Project) -> list[dict[str, Any]]:
    return [*contents(project, "agent_hooks.db").values()]


@pytest.mark.parametrize("scenario", [s for s in WITH_HOOKS if s != "parallel"])
def test_what_came_is_matched_without_ids(project: Project, scenario: str) -> None:
    recorded(project, scenario, sent_in(scenario))
    found = of(project, scenario)
    assert found.calls
    assert found.incomplete == []
    assert found.lost == []
    assert anyio.run(backfill, project, session_of(scenario)) == 0


@pytest.mark.parametrize("scenario", WITH_HOOKS)
def test_all_that_was_lost_is_made_anew(project: Project, scenario: str) -> None:
    sent = sent_in(scenario)
    recorded(project, scenario, [])
    lacking = of(project, scenario)
    assert len(lacking.lost) == sum(one.event not in OF_CALLS for one in sent)
    assert anyio.run(backfill, project, session_of(scenario)) == len(sent)
    made = events(project)
    assert all(content["metadata"]["reconstructed"] is True for content in made)
    assert all(content["session_id"] == session_of(scenario) for content in made)
    kinds = sorted(content["event_type"] for content in made)
    assert kinds == sorted(one.fields["event_type"] for one in sent)
    payloads = [json.dumps(content["payload"], sort_keys=True) for content in made]
    for one in sent:
        if one.event not in OF_CALLS:
            assert json.dumps(one.payload, sort_keys=True) in payloads
    now = of(project, scenario)
    assert (now.incomplete, now.lost) == ([], [])
    assert anyio.run(backfill, project, session_of(scenario)) == 0


@pytest.mark.parametrize("event", ["PreToolUse", "PostToolUse", "Stop", "userPromptTransformed"])
def test_one_that_was_lost_is_made_anew_until_it_comes(project: Project, event: str) -> None:
    sent = sent_in("command")
    (lost,) = [one for one in sent if one.event == event]
    recorded(project, "command", [one for one in sent if one is not lost])
    assert anyio.run(backfill, project, session_of("command")) == 1
    (made,) = [c for c in events(project) if c.get("metadata", {}).get("reconstructed")]
    fields = {n: v for n, v in lost.fields.items() if n not in ("metadata", "transcript_path")}
    assert {n: made[n] for n in fields} == fields
    Spool(project).accept("copilot-cli", lost.raw.encode())
    drain(project)
    anyio.run(backfill, project, session_of("command"))
    assert len(events(project)) == len(sent)
    assert not any(c.get("metadata", {}).get("reconstructed") for c in events(project))


def test_a_call_that_was_made_twice_in_one_answer_has_both_its_events(project: Project) -> None:
    """The bytes of two events before calls are the same, and count once."""
    recorded(project, "parallel", sent_in("parallel"))
    (call,) = of(project, "parallel").incomplete
    assert (call.name, call.has_pre, call.has_post) == ("bash", False, True)
    assert anyio.run(backfill, project, session_of("parallel")) == 1
    assert of(project, "parallel").incomplete == []
    assert [c["event_type"] for c in events(project)].count("pre_command") == 3


def test_calls_count_once_whoever_tells_of_them(project: Project) -> None:
    recorded(project, "edit", [])
    unreported = [
        m.get("unreported_calls", 0) for m in contents(project, "conversations.db").values()
    ]
    assert sum(unreported) == 3
    anyio.run(backfill, project, session_of("edit"))
    unreported = [
        m.get("unreported_calls", 0) for m in contents(project, "conversations.db").values()
    ]
    assert sum(unreported) == 0


def test_calls_with_events_are_not_counted_by_their_messages(project: Project) -> None:
    recorded(project, "edit", sent_in("edit"))
    rows = contents(project, "conversations.db").values()
    assert not any("unreported_calls" in row for row in rows)
