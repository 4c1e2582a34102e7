"""The labelled set: 200 questions as a person or an agent asks them, each with its right record.

160 ask for something that is there, 40 for something that is not. 88 of the former are about the
sessions of the real clients that this repository has (`samples.py`), the others about 20,000
sessions that are made up (`generated.py`), among which all of them are asked. They were written by
hand, looking at the records and not at the index: two to five words, pasted or remembered errors,
names of files, parts of names in code, the wording of plans, five other languages. Who asks says
what the right record says; it has to be among the first three entries of the answer. Of what is not
there, some words are: in other records, or in another order.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.search.labelled.generated import session_id

_FILE: Final = Path(__file__).with_name("questions.txt")
_ANY: Final = "*"
_WORD: Final = re.compile(r'"[^"]*"|\S+')


class Question(NamedTuple):
    """A question.

    Attributes:
        words: What is asked.
        session: The beginning of the id of the right record's session; empty where several have it.
        text: What the right record says; empty where nothing is there to be found.
        number: The number of a session that is made up and has the right record.
    """

    words: str
    session: str = ""
    text: str = ""
    number: int | None = None

    def is_answered_by(self, content: str) -> bool:
        """Whether a record of this content is the right one."""
        document = json.loads(content)
        session = str(document.get("session_id") or "")
        return session.startswith(self.session) and self.text in spoken(document)

    def is_met_by(self, plain: str) -> bool:
        """Whether a `plain` text has all of the words, as parts of any of its own."""
        return all(word.strip('"') in plain for word in _WORD.findall(plain_text(self.words)))


def questions() -> list[Question]:
    """Read all questions."""
    lines = _FILE.read_text("utf-8").splitlines()
    return [_question(line) for line in lines if line and not line.startswith("#")]


def spoken(value: Any) -> str:
    """Return every text in a document, each on a line."""
    return "\n".join(_texts(value))


def plain_text(text: str) -> str:
    """Return a text in small letters without their marks."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _question(line: str) -> Question:
    words, *label = line.split(" | ")
    if not label:
        return Question(words)
    session, text = label
    if session.startswith("#"):
        number = int(session[1:].removesuffix(_ANY))
        return Question(words, "" if session.endswith(_ANY) else session_id(number), text, number)
    return Question(words, "" if session == _ANY else session, text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
