"""Sessions that are made up: somebody reports what breaks, an agent looks, fails, mends, explains.

The session of a number is the same each time. All are of the same tables of words, so that each has
many that are like it: the same component, the same error, the same file.
"""

import json
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, PLANNER_SESSIONS, Purpose
from tests.factories import NOON, Row
from tests.search.labelled import vocabulary as words

SESSIONS: Final = 20_000
# One in so many is in another language, has a plan.
_FOREIGN: Final = 12
_PLANNED: Final = 8
_MINUTES_APART: Final = 11


class GeneratedRow(NamedTuple):
    """A row, and the purpose that stores it."""

    purpose: Purpose
    row: Row


def session_id(number: int) -> str:
    """The id of the session of a number."""
    return str(UUID(int=random.Random(f"id {number}").getrandbits(128), version=4))


def generated(numbers: Iterable[int]) -> Iterator[GeneratedRow]:
    """Yield the rows of the sessions of these numbers."""
    for number in numbers:
        yield from _Session(number).rows()


class _Session:
    """Makes up one session."""

    def __init__(self, number: int) -> None:
        some = self._some = random.Random(f"session {number}")
        self.id = session_id(number)
        self._number = number
        self._at: datetime = NOON + timedelta(minutes=_MINUTES_APART * number)
        pick = some.choice
        verb, noun, thing = pick(words.VERBS), pick(words.NOUNS), pick(words.THINGS)
        other = pick(words.NOUNS)
        self._name = f"{verb}{noun.title()}{thing.title()}"
        self._file = f"{noun}_{thing}"
        suffix = pick(words.SUFFIXES)
        self._path = f"/home/dev/src/proj/src/{pick(words.AREAS)}/{self._file}.{suffix}"
        self._component = pick(words.COMPONENTS)
        self._fields: dict[str, Any] = {
            "verb": verb, "noun": other, "thing": thing, "name": self._name, "path": self._path,
            "Class": noun.title() + pick(words.THINGS).title(),
            "Other": other.title() + thing.title(),
            "zone": pick(words.ZONES), "small": some.randint(2, 60),
            "line": some.randint(61, 900), "port": some.randint(1_024, 9_999),
        }  # fmt: skip
        self._error = pick(words.ERRORS).format_map(self._fields)

    def rows(self) -> Iterator[GeneratedRow]:
        some = self._some
        told, explained = self._story()
        number = some.randrange(1, 400)
        if self._number % _PLANNED == 0:
            yield self._plan()
        yield self._said("user", told, kind="message")
        looked = f"grep -rn {self._name} src/ | head -20"
        place = f"{self._path}:{number}: {self._name}({self._fields['thing']})"
        yield from self._call("I look for where that is decided.", looked, place)
        test = f"pytest -q tests/test_{self._file}.py"
        yield from self._call("", test, f"{self._error}\n1 failed, 12 passed", is_error=True)
        edit = {"file_path": self._path, "old_string": f"{self._name}(", "new_string": "mended("}
        yield from self._tool("", "Edit", edit, f"The file {self._path} has been updated.")
        yield from self._call("", test, f"{some.randint(13, 99)} passed in 0.{number:03d}s")
        yield self._said("assistant", explained)

    def _story(self) -> tuple[str, str]:
        some = self._some
        if self._number % _FOREIGN == 5:
            asked, answered = some.choice(words.FOREIGN)
            return asked.format_map(self._fields), answered.format_map(self._fields)
        symptom, occasion = some.choice(words.SYMPTOMS), some.choice(words.OCCASIONS)
        first = occasion[0].upper() + occasion[1:]
        asked = some.choice(
            (
                f"The {self._component} {symptom} {occasion}. Find out why and mend it.",
                f"{first}, the {self._component} {symptom}. Look at {self._name}.",
                f"Users say that the {self._component} {symptom}; it happens {occasion}.",
            )
        )
        cause = some.randrange(len(words.CAUSES))
        answered = (
            f"{words.CAUSES[cause]}, in `{self._name}` of {self._path.rpartition('/')[2]}: "
            f"{words.REMEDIES[cause]}. The {self._component} is right again."
        )
        return asked, answered

    def _plan(self) -> GeneratedRow:
        fields = self._fields
        content = {
            "session_id": self.id, "complexity": self._some.choice(("simple", "medium", "complex")),
            "task_description": f"Rework the {self._component} around a {fields['thing']} of each"
            f" {fields['noun']}",
            "phases": [
                {"name": "survey", "description": f"List who calls {self._name}"},
                {"name": "build", "description": self._some.choice(words.REMEDIES)},
            ],
            "confidence": 0.8, "agent_count": 2, "workflow_pattern": "sequential",
        }  # fmt: skip
        return self._row(PLANNER_SESSIONS, content)

    def _call(
        self, text: str, command: str, output: str, *, is_error: bool = False
    ) -> Iterator[GeneratedRow]:
        return self._tool(text, "Bash", {"command": command}, output, is_error=is_error)

    def _tool(
        self, text: str, name: str, given: dict[str, Any], output: str, *, is_error: bool = False
    ) -> Iterator[GeneratedRow]:
        id = f"toolu_{self._some.getrandbits(80):020x}"
        call = {"tool_use_id": id, "name": name, "input": given}
        said = {"text": text} if text else {}
        yield self._said("assistant", **said, tool_calls=[call])
        result = {"tool_use_id": id, "output": output, "is_error": is_error}
        yield self._said("tool", kind="message", tool_results=[result])

    def _said(self, role: str, text: str = "", **more: Any) -> GeneratedRow:
        content: dict[str, Any] = {"tool": "claude-code", "role": role, "session_id": self.id}
        if text:
            content["text"] = text
        return self._row(CONVERSATIONS, content | more)

    def _row(self, purpose: Purpose, content: dict[str, Any]) -> GeneratedRow:
        self._at += timedelta(seconds=self._some.randint(1, 40))
        id = str(UUID(int=self._some.getrandbits(128), version=4))
        text = json.dumps(content, ensure_ascii=False)
        return GeneratedRow(purpose, (id, text, "{}", clock.to_text(self._at), None))
