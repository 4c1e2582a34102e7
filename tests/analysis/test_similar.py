"""Plans that are alike: the score by hand, its order, and words that mean something to SQL."""

from functools import partial
from math import log
from typing import Any

import anyio
import pytest

from khive_persist import similar_plans
from khive_persist.analytics.similar import SimilarPlan, words_of
from khive_persist.errors import InvalidQueryError
from khive_persist.project import Project
from tests.analysis.records import event, plan
from tests.factories import outcome, save_many


def similar(project: Project, task: str = "", **wanted: Any) -> list[SimilarPlan]:
    return anyio.run(partial(similar_plans, task, dir=project.root, **wanted))


def ids(found: list[SimilarPlan]) -> list[str]:
    return [one.plan.plan_id for one in found]


@pytest.fixture
def four(project: Project) -> Project:
    save_many(
        project,
        [
            plan("streams", 1, task_description="Move the importer to streams",
                 complexity="complex", workflow_pattern="parallel"),
            plan("typo", 2, task_description="Fix the typo in the help", complexity="simple"),
            plan("exporter", 3, task_description="Move the exporter", complexity="complex"),
            plan("store", 4, task_description="Make a store", workflow_pattern="parallel"),
            event("post_edit", "session-of-streams", 9, success=False),
            outcome("session-of-streams", "failure", 10),
        ],
    )  # fmt: skip
    return project


def weight(having: int) -> float:
    """Of four plans."""
    return log(1 + (4 - having + 0.5) / (having + 0.5))


def test_the_score_by_hand(four: Project) -> None:
    move, the, streams, unknown = weight(2), weight(3), weight(1), weight(0)
    whole = move + the + streams + unknown
    found = similar(four, "the STREAMS move, move sideways")
    assert ids(found) == ["streams", "exporter", "typo"]
    assert [one.score for one in found] == pytest.approx(
        [(move + the + streams) / whole, (move + the) / whole, the / whole]
    )
    assert found[0].words == ["streams", "move", "the"]


def test_complexity_and_pattern_count_where_they_are_named(four: Project) -> None:
    move = weight(2)
    found = similar(four, "move store", complexity="complex", pattern="parallel")
    part = move / (move + weight(1))
    assert ids(found) == ["streams", "store", "exporter"]
    assert [one.score for one in found] == pytest.approx(
        [(3 * part + 1 + 1) / 5, (3 * (1 - part) + 0 + 1) / 5, (3 * part + 1 + 0) / 5]
    )


def test_without_words_the_same_complexity_or_pattern_is_alike(four: Project) -> None:
    assert ids(similar(four, complexity="complex")) == ["exporter", "streams"]
    found = similar(four, pattern="parallel", complexity="complex")
    assert [(one.plan.plan_id, one.score) for one in found] == [
        ("streams", 1.0), ("store", 0.5), ("exporter", 0.5),
    ]  # fmt: skip


def test_it_says_how_they_ended(four: Project) -> None:
    found = similar(four, "importer")[0]
    assert (found.plan.verdict, found.plan.failures) == ("failure", 1)
    document = found.as_document()
    assert (document["score"], document["verdict"]) == (1.0, "failure")


def test_the_best_are_kept_and_of_equals_the_latest(project: Project) -> None:
    save_many(project, [plan(f"p{n:02}", n, task_description="same words") for n in range(30)])
    save_many(project, [plan("best", -1, task_description="same words, more")])
    assert ids(similar(project, "same words more", limit=4)) == ["best", "p29", "p28", "p27"]
    assert similar(project, "same", limit=0) == []
    assert len(similar(project, "same", limit=1000)) == 31


def test_no_word_of_it_is_not_alike(four: Project) -> None:
    assert similar(four, "nothing of this", complexity="complex") == []
    assert ids(similar(four, "mov")) == []


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE planner_sessions; --", "\" OR 1=1", "move* NEAR(the)", "%", "_", "the\0",
        "{move}", "col:move AND", "(" * 500, "\ud800 move", "ＭＯＶＥ", "x " * 20_000,
    ],
)  # fmt: skip
def test_words_are_only_words(four: Project, text: str) -> None:
    before = similar(four, "move the store")
    words = words_of(text)
    if words:
        assert {w for one in similar(four, text) for w in one.words} <= words
    else:
        with pytest.raises(InvalidQueryError):
            similar(four, text)
    assert similar(four, "move the store") == before


def test_complexity_is_no_sql_either(four: Project) -> None:
    assert similar(four, complexity="x' OR '1'='1") == []


def test_nothing_asked_is_wrong_and_nothing_there_is_nothing(project: Project) -> None:
    for wanted in ({}, {"task": " ,. "}, {"task": "a", "limit": -1}, {"task": "a", "limit": 1001}):
        with pytest.raises(InvalidQueryError):
            similar(project, **wanted)
    assert similar(project, "anything") == []


def test_a_plan_without_a_description_is_alike_by_the_rest(project: Project) -> None:
    save_many(project, [plan("p", task_description="", complexity="simple")])
    assert ids(similar(project, complexity="simple")) == ["p"]
    assert similar(project, "do", complexity="simple") == []
