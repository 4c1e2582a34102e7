"""Ask all questions, and count whose right record is among the first entries of the answer."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.search_index.result import SearchHit, SearchResult
from khive_persist.sessions.search import search
from tests.factories import Row, store_rows
from tests.search.labelled.generated import SESSIONS, generated
from tests.search.labelled.questions import Question, questions
from tests.search.labelled.samples import store_samples
from tests.stored import select

FIRST: Final = 3
_PURPOSES: Final = {purpose.name: purpose for purpose in BUILT_IN}


class Answer(NamedTuple):
    """A question with what was answered to it.

    Attributes:
        question: The question.
        result: The answer.
        is_right: Whether the right record is among the first entries; where nothing is there,
            whether nothing was answered.
    """

    question: Question
    result: SearchResult
    is_right: bool


class Score(NamedTuple):
    """All answers.

    Attributes:
        present: Those to questions about what is there.
        absent: Those to questions about what is not there.
    """

    present: list[Answer]
    absent: list[Answer]

    @property
    def present_share(self) -> float:
        """The share of right answers among the former."""
        return _share(self.present)

    @property
    def absent_share(self) -> float:
        """The share of right answers among the latter."""
        return _share(self.absent)

    @property
    def wrong(self) -> list[Answer]:
        """All answers that are not right."""
        return [answer for answer in (*self.present, *self.absent) if not answer.is_right]


def store_all(project: Project, sessions: int = SESSIONS) -> None:
    """Store the samples, the sessions that are asked for, and as many of the others as there are.

    Args:
        project: An empty project.
        sessions: The number of sessions that are made up, those that are asked for not counted.
    """
    store_samples(project)
    asked = {question.number for question in questions()} - {None}
    step = max(SESSIONS // sessions, 1)
    rows: dict[str, list[Row]] = {}
    for each in generated(sorted({*range(0, SESSIONS, step), *filter(None, asked)})):
        rows.setdefault(each.purpose.name, []).append(each.row)
    for name, of_purpose in rows.items():
        store_rows(project, _PURPOSES[name], of_purpose)


async def score(project: Project, asked: Iterable[Question]) -> Score:
    """Ask questions of a project."""
    answers = [await _answer(project, question) for question in asked]
    return Score(
        [answer for answer in answers if answer.question.text],
        [answer for answer in answers if not answer.question.text],
    )


async def _answer(project: Project, question: Question) -> Answer:
    result = await search(question.words, limit=20, dir=project.root)
    hits = [hit for session in result.sessions for hit in session.hits]
    if not question.text:
        return Answer(question, result, not hits and not result.matched)
    contents = _contents(project, hits[:FIRST])
    return Answer(question, result, any(map(question.is_answered_by, contents)))


def _contents(project: Project, hits: Iterable[SearchHit]) -> list[str]:
    contents = []
    for hit in hits:
        purpose = _PURPOSES[hit.purpose]
        sql = f"SELECT content FROM {purpose.table} WHERE id = '{hit.record_id}'"
        contents += [content for (content,) in select(project, purpose.file, sql)]
    return contents


def _share(answers: list[Answer]) -> float:
    return sum(answer.is_right for answer in answers) / len(answers)
