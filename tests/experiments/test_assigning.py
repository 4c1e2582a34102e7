"""A session is assigned once: by one of many, for good, and marked where its work had begun."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import anyio
import pytest

import khive_persist
from khive_persist import (
    ApplicationSession,
    Assignment,
    CallbackMetadata,
    Experiment,
    FocusChain,
    HookEvent,
    Measurement,
    Message,
    Node,
    Outcome,
    PlannerSession,
    Score,
    assign,
    create_experiment,
    open_store,
    verify,
)
from khive_persist.analytics.experiments.random_assignment import draw
from khive_persist.capture.spool import Spool
from khive_persist.errors import ConflictError, InvalidRecordError, NotFoundError
from khive_persist.project import Project
from khive_persist.sessions.has_started import PURPOSES
from khive_persist.sessions.has_started import statement as begun_statement
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement
from tests.experiments.records import HALVES, rows, save

SECRET = "ghp_" + "a1B2" * 9
# Assigns many sessions by name, each process another variant, and says what it got.


@pytest.fixture
async def prompt(project: Project) -> Experiment:
    return await create_experiment("prompt", HALVES, dir=project.root)


async def test_an_experiment_is_created_once(project: Project) -> None:
    made = await create_experiment("prompt", ["control", "new"], note="n", dir=project.root)
    variants = [{"name": "control", "weight": 1}, {"name": "new", "weight": 1}]
    assert made.content == {"name": "prompt", "variants": variants, "note": "n"}
    assert made.id == "prompt"
    for same in (["control", "new"], {"control": 1, "new": 1.0}):
        assert await create_experiment("prompt", same, dir=project.root) == made
    others: list[Any] = [["new", "control"], {"control": 1, "new": 2}, ["control", "new", "more"]]
    for other in others:
        with pytest.raises(ConflictError, match="control=1, new=1"):
            await create_experiment("prompt", other, dir=project.root)
    with pytest.raises(ConflictError):
        await create_experiment("prompt", HALVES, note="another", dir=project.root)
    assert rows(project, "experiments") == {"prompt": dict(made.content)}


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("prompt", ["a"]), ("prompt", []), ("prompt", {"a": 0, "b": 1}),
        ("prompt", {"a": -1, "b": 1}), ("prompt", {"a": float("nan"), "b": 1}),
        ("prompt", {"a": float("inf"), "b": 1}), ("prompt", {"a": "1", "b": 1}),
        ("prompt", {"a": True, "b": 1}),
        ("prompt", [f"v{n}" for n in range(101)]), ("prompt", ["a", "b c"]),
        ("prompt", ["a", "b=1"]), ("prompt", ["a", SECRET]), ("", ["a", "b"]),
        ("a/b", ["a", "b"]), ("x" * 101, ["a", "b"]), ("a\n", ["a", "b"]), (SECRET, ["a", "b"]),
    ],
)  # fmt: skip
async def test_what_is_no_experiment_is_refused(name: str, variants: Any, project: Project) -> None:
    with pytest.raises(InvalidRecordError):
        await create_experiment(name, variants, dir=project.root)
    assert rows(project, "experiments") == {}


async def test_a_session_is_assigned_once(prompt: Experiment, project: Project) -> None:
    first = await assign("s1", "prompt", dir=project.root)
    variants = prompt.content["variants"]
    assert first.content == {
        "session_id": "s1", "experiment": "prompt", "method": "random", "is_late": False,
        "variant": draw("prompt", "s1", variants), "variants": variants,
    }  # fmt: skip
    drawn = first.content["variant"]
    assert await assign("s1", "prompt", dir=project.root) == first
    assert await assign("s1", "prompt", drawn, dir=project.root) == first
    (other,) = HALVES.keys() - {drawn}
    with pytest.raises(ConflictError, match=f"has the variant '{drawn}' of 'prompt'"):
        await assign("s1", "prompt", other, dir=project.root)
    against = "new" if draw("prompt", "s2", variants) == "control" else "control"
    named = await assign("s2", "prompt", against, dir=project.root)
    assert (named.content["variant"], named.content["method"]) == (against, "named")
    assert await assign("s2", "prompt", dir=project.root) == named
    assert rows(project, "assignments") == {
        one.id: dict(one.content) for one in (first, named)
    }  # fmt: skip
    for kind in (Experiment, Assignment):
        assert (await verify(kind, dir=project.root)).is_equal


async def test_what_cannot_be_assigned_is_refused(prompt: Experiment, project: Project) -> None:
    with pytest.raises(NotFoundError, match="experiment create"):
        await assign("s1", "nothing", dir=project.root)
    with pytest.raises(NotFoundError, match="experiment create"):
        await assign("s1", "nothing", "control", dir=project.root)
    with pytest.raises(InvalidRecordError, match=r"no variant 'old'.*one of control, new"):
        await assign("s1", "prompt", "old", dir=project.root)
    for id in ("", "x" * 201, "a\0b", "\ud800", f"token={SECRET}"):
        with pytest.raises(InvalidRecordError):
            await assign(id, "prompt", dir=project.root)
    assert rows(project, "assignments") == {}


async def test_an_id_is_taken_as_it_is(prompt: Experiment, project: Project) -> None:
    event = {"event_type": "pre_command", "session_id": "abcdef"}
    await save(project, HookEvent, event)
    begin = await assign("abc", "prompt", dir=project.root)
    assert (begin.content["session_id"], begin.content["is_late"]) == ("abc", False)


EARLY: list[tuple[type[Node], dict[str, Any]]] = [
    (PlannerSession, {"task_description": "t"}),
    (HookEvent, {"event_type": "session_start"}),
    (HookEvent, {"event_type": "session_start", "tool": "gemini-cli"}),
    (HookEvent, {"event_type": "instructions_loaded"}),
    (ApplicationSession, {"group": "a"}),
]
LATE: list[tuple[type[Node], dict[str, Any]]] = [
    (HookEvent, {"event_type": "prompt_submitted"}),
    (HookEvent, {"event_type": "pre_command", "tool": "codex"}),
    (HookEvent, {"event_type": "session_end", "tool": "gemini-cli"}),
    (HookEvent, {"event_type": "stop", "tool": "pi"}),
    (Message, {"tool": "codex", "role": "user"}),
    (FocusChain, {"items": [{"text": "t", "status": "pending"}]}),
    (ApplicationSession, {"version": 2}),
    (Measurement, {"name": "pulse", "value": 60}),
    (Score, {"name": "triage", "value": 1}),
    (Outcome, {"verdict": "failure"}),
]


@pytest.mark.parametrize(
    ("kind", "content", "is_late"),
    [*((*one, False) for one in EARLY), *((*one, True) for one in LATE)],
)
@pytest.mark.parametrize("variant", [None, "new"])
async def test_what_is_recorded_before_makes_it_late(
    kind: type[Node],
    content: dict[str, Any],
    is_late: bool,
    variant: str | None,
    prompt: Experiment,
    project: Project,
) -> None:
    await save(project, kind, {**content, "session_id": "s1"})
    done = await assign("s1", "prompt", variant, dir=project.root)
    assert done.content["is_late"] is is_late
    assert (await assign("s2", "prompt", variant, dir=project.root)).content["is_late"] is False


async def test_to_look_whether_it_is_late_an_index_serves(
    prompt: Experiment, project: Project
) -> None:
    for kind, content in LATE:
        await save(project, kind, {**content, "session_id": "s1"})

    def explained(source: Source) -> Statement:
        sql, values = begun_statement(source, "s1")
        return Statement(f"EXPLAIN QUERY PLAN {sql}", values)

    steps = []
    for purposes in PURPOSES:
        async with Reader([(project.database(one.file), one) for one in purposes]) as reader:
            steps += [row[3] for row in await reader.fetch(explained)]
    assert sum("USING INDEX" in step for step in steps) == sum(map(len, PURPOSES))
    assert [step for step in steps if step.startswith("SCAN f")] == []


async def test_an_event_that_waits_in_the_spool_counts(
    prompt: Experiment, project: Project
) -> None:
    payload = {"hook_event_name": "UserPromptSubmit", "session_id": "s1", "prompt": "go"}
    Spool(project).accept("claude-code", json.dumps(payload).encode())
    assert (await assign("s1", "prompt", dir=project.root)).content["is_late"] is True


async def test_it_is_not_late_for_what_comes_after(prompt: Experiment, project: Project) -> None:
    first = await assign("s1", "prompt", dir=project.root)
    await save(project, Message, {"tool": "codex", "role": "user", "session_id": "s1"})
    assert await assign("s1", "prompt", dir=project.root) == first
    assert first.content["is_late"] is False


async def test_of_many_processes_one_wins_and_all_get_the_same(project: Project) -> None:
    await create_experiment("race", [f"v{n}" for n in range(4)], dir=project.root)
    each = 12
    command = [sys.executable, "-m", "tests.programs.assigner", str(project.root)]
    racers = [
        subprocess.Popen([*command, f"v{n}", str(each)], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(4)
    ]  # fmt: skip
    for one in racers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in racers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    got = [one.communicate(timeout=60)[0].split() for one in racers]
    assert [one.returncode for one in racers] == [0] * 4
    assert all(one == got[0] for one in got)
    assert len(got[0]) == each
    stored = rows(project, "assignments").values()
    assert {one["session_id"]: one["variant"] for one in stored} == {
        f"s{n}": variant for n, variant in enumerate(got[0])
    }
    assert (await verify(Assignment, dir=project.root)).is_equal


async def test_of_many_tasks_one_is_new_and_they_share_commits(
    prompt: Experiment, project: Project
) -> None:
    new = []
    async with open_store(Assignment, dir=project.root) as assignments:
        made = await assign("s0", "prompt", dir=project.root)

        async def keep(number: int) -> None:
            content = {**made.content, "session_id": f"s{number % 5}"}
            one = Assignment.model_validate({"content": content})
            new.append((await assignments.insert_if_absent(one)).created)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(keep, number)
        assert await assignments.count() == 5
    assert Counter(new) == {True: 4, False: 46}


async def test_callbacks_are_told_of_what_is_new_alone(
    prompt: Experiment, project: Project
) -> None:
    told: list[CallbackMetadata] = []
    variants = prompt.content["variants"]
    content = {"session_id": "s1", "experiment": "prompt", "variant": "new", "method": "named",
               "is_late": False, "variants": variants}  # fmt: skip
    one = Assignment.model_validate({"content": content})
    async with open_store(Assignment, dir=project.root, on_save=told.append) as assignments:
        assert (await assignments.insert_if_absent(one)).created
        assert not (await assignments.insert_if_absent(one)).created
        assert await assignments.save(one) == one
    assert [each.items for each in told] == [1]


async def test_old_names_do_the_same_and_warn(prompt: Experiment, project: Project) -> None:
    async with open_store(Experiment, dir=project.root) as experiments:
        with pytest.warns(DeprecationWarning, match="insert_if_absent"):
            result = await experiments.keep(prompt)
        with pytest.warns(DeprecationWarning, match="created"):
            assert not result.is_new
    assert result.record == prompt
    with pytest.warns(DeprecationWarning, match="ProjectError"):
        assert khive_persist.PlaceError is khive_persist.ProjectError


async def test_no_store_changes_what_is_kept(prompt: Experiment, project: Project) -> None:
    async with (
        open_store(Experiment, dir=project.root) as experiments,
        open_store(Assignment, dir=project.root) as assignments,
    ):
        there = await assign("s1", "prompt", dir=project.root)
        (other,) = HALVES.keys() - {there.content["variant"]}
        changed = Assignment.model_validate({"content": {**there.content, "variant": other}})
        fresh = Assignment.model_validate({"content": {**there.content, "session_id": "s2"}})
        with pytest.raises(ConflictError, match="never changes"):
            await changed.save()
        with pytest.raises(ConflictError, match="never changes"):
            await assignments.save_many([fresh, changed])
        with pytest.raises(ConflictError, match="never changes"):
            await assignments.revise(there.id, lambda _: changed)
        unequal = {**prompt.content, "variants": [{"name": "a", "weight": 1}] * 2}
        with pytest.raises(ValueError, match="two variants have one name"):
            Experiment.model_validate({"content": unequal})
        uneven = Experiment.model_validate({
            "content": {"name": "prompt", "variants": [
                {"name": "control", "weight": 1}, {"name": "new", "weight": 9}]}
        })  # fmt: skip
        with pytest.raises(ConflictError):
            await experiments.save(uneven)
        assert await assignments.find() == [there]
        assert await experiments.find() == [prompt]
        assert await assignments.save_many([there, fresh, fresh]) == 3
        assert await there.save() == there
        assert await assignments.revise(there.id, lambda _: there) == there
        assert await assignments.count() == 2
    assert (await verify(Assignment, dir=project.root)).is_equal
    for wrong in ({"id": "mine"}, {"content": {**there.content, "variant": "old"}}):
        with pytest.raises(ValueError, match=r"is made of|none of the experiment's"):
            Assignment.model_validate({"content": there.content} | wrong)
