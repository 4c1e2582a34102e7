"""An entry of a story keeps its id, and its own records tell all of it."""

from typing import Any

import pytest

from khive_persist.sessions.read import Session
from khive_persist.sessions.timeline.build import build_with_calls
from khive_persist.sessions.timeline.details import EXCERPT_CHARACTERS, details_of, find_entries
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.tool_call import arguments_of, diff, paths_of
from tests.unit.test_story import PRICES, call, event, message, result, told

PATCH = "*** Begin Patch\n*** Update File: a.py\n-old\n+new\n*** Add File: b.py\n+x\n*** End Patch"
HUGE = "x" * 1_000_000 + "\nthe last line"

MESSAGES = [
    message(0, "user", text="do it"),
    message(1, "assistant", text="I will", model="m", tokens={"input": 7, "output": 3},
            **call("t1", command="make")),
    message(2, "tool", **result("t1", "ok")),
    message(3, "assistant", model="m", **call("t2", "Edit", file_path="/a.py", old_string="a",
                                              new_string="b")),
]  # fmt: skip
EVENTS = [
    event(0, "prompt_submitted", payload={"prompt": "do it"}),
    event(1, "pre_command", tool_use_id="t1", tool_name="Bash", model="m2",
          payload={"tool_input": {"command": "make"}}),
    event(2, "post_command", tool_use_id="t1", tool_name="Bash", success=True, output="ok",
          file_paths=["/made"]),
    event(4, "session_end"),
]  # fmt: skip


def ids(entries: list[Entry], *kinds: str) -> list[str]:
    return [entry.id for entry in entries if entry.kind in kinds]


def test_a_prompt_and_a_call_keep_their_ids_when_the_transcript_comes() -> None:
    live = told(events=EVENTS)
    synced = told(events=EVENTS, messages=MESSAGES)
    assert ids(live, "prompt") == ids(synced, "prompt")
    assert ids(live, "tool") == ids(synced, "tool")[:1]
    assert ids(live, "event") == ids(synced, "event")
    every = [entry.id for entry in synced]
    assert len(set(every)) == len(every) == 5
    # A thought is an entry by itself and moves no other.
    thoughts = [*MESSAGES, message(5, "assistant", text="well", thinking="hm")]
    entries = build_with_calls(Session(messages=thoughts), PRICES, thinking=True).entries
    assert {*ids(told(messages=thoughts), "message", "tool")} <= {entry.id for entry in entries}


def test_an_entry_names_its_records_model_and_files() -> None:
    prompt, said, make, edit, _ = told(events=EVENTS, messages=MESSAGES)
    assert prompt.records == (MESSAGES[0].id, EVENTS[0].id)
    assert (said.model, said.records) == ("m", (MESSAGES[1].id,))
    assert make.records == (MESSAGES[1].id, MESSAGES[2].id, EVENTS[1].id, EVENTS[2].id)
    assert (make.model, make.files) == ("m", ("/made",))
    assert edit.files == ("/a.py",)
    assert told(events=EVENTS)[1].model == "m2"


def test_its_records_alone_tell_all_of_an_entry() -> None:
    session = Session(events=EVENTS, messages=MESSAGES)
    for entry in build_with_calls(session, PRICES).entries:
        records = Session(
            events=[each for each in EVENTS if each.id in entry.records],
            messages=[each for each in MESSAGES if each.id in entry.records],
        )
        details = details_of(records, PRICES, entry.id)
        assert details == details_of(session, PRICES, entry.id)
        assert details is not None
        if entry.title == "I will":
            assert details.usage is not None
            assert (details.usage.input, details.usage.output, details.usage.tokens) == (7, 3, 10)
        else:
            assert details.usage is None
    assert details_of(session, PRICES, "no such id") is None


def test_a_long_output_is_given_from_its_beginning_or_as_a_whole() -> None:
    session = Session(messages=[message(0, "assistant", **call("t", command="cat", n=5)),
                                message(1, "tool", **result("t", HUGE))])  # fmt: skip
    timeline = build_with_calls(session, PRICES)
    (entry,) = timeline.entries
    assert sum(map(len, entry.lines)) < 5_000
    details = details_of(session, PRICES, entry.id)
    whole = details_of(session, PRICES, entry.id, is_whole=True)
    assert details is not None
    assert details.output is not None
    assert whole is not None
    assert whole.output is not None
    assert details.output.text == HUGE[:EXCERPT_CHARACTERS]
    assert details.output.characters == len(HUGE)
    assert whole.output.text == HUGE
    assert [(argument.name, argument.value.text) for argument in details.arguments] == [
        ("command", "cat"), ("n", "5")
    ]  # fmt: skip
    assert find_entries(timeline, "The Last LINE") == [entry.id]
    assert find_entries(timeline, "cat") == [entry.id]
    assert find_entries(timeline, "no such text") == []
    call_record, result_record = (record.id for record in session.messages)
    for id in (call_record, result_record):
        assert find_entries(timeline, "cat", "tool", [id]) == [entry.id]
    assert find_entries(timeline, kind="prompt", records=[call_record]) == []
    assert find_entries(timeline, records=["nowhere"]) == []


@pytest.mark.parametrize(
    ("arguments", "changes", "paths"),
    [
        ({"file_path": "/a", "old_string": "a", "new_string": "b"}, ["-a", "+b"], ["/a"]),
        ({"path": "/a", "old_str": "a", "new_str": "b"}, ["-a", "+b"], ["/a"]),
        ({"filePath": "/a", "oldString": "a", "newString": "b"}, ["-a", "+b"], ["/a"]),
        ({"path": "/a", "edit": {"old": "a", "new": "b"}}, ["-a", "+b"], ["/a"]),
        ({"path": "/a", "edits": [{"oldText": "a", "newText": "b"}]}, ["-a", "+b"], ["/a"]),
        ({"file_path": "/a", "content": "--- b\n+c"}, ["+--- b", "++c"], ["/a"]),
        ({"file_path": "/a", "old_string": "-- a", "new_string": "c"}, ["--- a", "+c"], ["/a"]),
        (PATCH, PATCH.splitlines(), ["a.py", "b.py"]),
        ({"command": ["apply_patch", PATCH]}, PATCH.splitlines(), ["a.py", "b.py"]),
        ({"patchText": PATCH}, PATCH.splitlines(), ["a.py", "b.py"]),
    ],
)
def test_the_edits_of_every_client_are_diffs(
    arguments: Any, changes: list[str], paths: list[str]
) -> None:
    assert [line for line in diff(arguments) if line[0] != "@"] == changes
    assert paths_of(arguments) == paths
    assert {*arguments_of(arguments)} <= {"file_path", "path", "filePath"}


@pytest.mark.parametrize("arguments", [None, 7, [], {"edits": 3}, {"edit": None}, {"command": [1]}])
def test_odd_arguments_are_no_edit(arguments: Any) -> None:
    assert diff(arguments) == []
    assert paths_of(arguments) == []
