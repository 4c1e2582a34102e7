"""The labelled questions: the right record is among the first three, nothing for what is not there.

What the set is: `tests/search/labelled/questions.py`.
"""

import json
from pathlib import Path

import pytest

from tests.factories import make_project
from tests.homes import known_projects  # noqa: F401 - used by pytest
from tests.search.labelled.evaluation import Score, score, store_all
from tests.search.labelled.generated import SESSIONS, generated
from tests.search.labelled.questions import plain_text, questions, spoken

RIGHT = 0.9
# For the quick tests: so many other sessions, and one question of so many.
FEW_SESSIONS = 100
ONE_OF = 4


def assert_good(counted: Score) -> None:
    wrong = [answer.question.words for answer in counted.wrong]
    assert counted.absent_share == 1, wrong
    assert counted.present_share >= RIGHT, wrong


async def test_some_questions_with_few_other_sessions(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    store_all(project, FEW_SESSIONS)
    assert_good(await score(project, questions()[::ONE_OF]))


@pytest.mark.long
async def test_the_whole_set(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    store_all(project)
    counted = await score(project, questions())
    assert (len(counted.present), len(counted.absent)) == (160, 40)
    assert_good(counted)


@pytest.mark.long
def test_what_is_not_there_is_in_no_made_up_session() -> None:
    absent = [question for question in questions() if not question.text]
    for made in generated(range(SESSIONS)):
        plain = plain_text(spoken(json.loads(made.row[1])))
        assert not [question.words for question in absent if question.is_met_by(plain)], plain
