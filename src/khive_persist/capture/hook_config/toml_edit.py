"""Find the tables of an array in TOML text, so that it can be edited in place.

No library that keeps the format does it well: tomlkit joins an array that other tables divide, and
takes the user's comment behind a table away with it. So the text is only cut into statements, each
is read by `tomllib`, and whoever edits it reads the result once more.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from khive_persist.capture.hook_config.invalid_text import InvalidTextError

_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<mark>[\[\]{},=\n])"
    r"|[^\"'#\[\]{},=\n]+",
    re.DOTALL,
)
_WHERE: Final = re.compile(r"\(at line (\d+), column (\d+)\)$")


class InvalidTomlError(InvalidTextError):
    """The text is not TOML, or not of the expected shape."""


class Span(NamedTuple):
    """A part of a text: `text[start:end]`."""

    start: int
    end: int


class Statement(NamedTuple):
    """A header or a key with its value.

    Attributes:
        start: The position of its first character.
        end: The position behind its last one; a comment behind it is no part.
        value: The document that it is by itself.
        value_start: The position of the value's first character; of a header, its end.
    """

    start: int
    end: int
    value: dict[str, Any]
    value_start: int

    def is_header(self, text: str) -> bool:
        """Return whether it is the header of a table."""
        return text.startswith("[", self.start)


class Table(NamedTuple):
    """One table of an array of tables, `[[…]]`: its header and the statements below."""

    header: Statement
    members: tuple[Statement, ...]

    @property
    def end(self) -> int:
        """Return the position behind its last statement."""
        return (self.members or (self.header,))[-1].end


def read(text: str) -> dict[str, Any]:
    """Return a text as a document.

    Raises:
        InvalidTomlError: It is not TOML, or nested too deep to be read.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InvalidTomlError("nested too deep", text, 0) from error
    except ValueError as error:
        # A number of too many digits is no TOMLDecodeError.
        reason = str(error)
        where = _WHERE.search(reason)
        wrong = InvalidTomlError(f"not valid TOML ({_WHERE.sub('', reason).strip()})", text, 0)
        if where is not None:
            wrong.line, wrong.column = int(where[1]), int(where[2])
        elif "end of document" in reason:
            wrong = InvalidTomlError(str(wrong), text, len(text))
        raise wrong from error


def tables(text: str, name: str) -> list[Table]:
    """Return the tables `[[name]]` of a valid document, in its order."""
    found: list[Table] = []
    is_inside = False
    for statement in statements(text):
        if statement.is_header(text):
            is_inside = statement.value == {name: [{}]}
            if is_inside:
                found.append(Table(statement, ()))
        elif is_inside:
            found[-1] = Table(found[-1].header, (*found[-1].members, statement))
    return found


def inline_array(text: str, name: str) -> tuple[Span, list[Span]] | None:
    """Return the array `name = […]` of a valid document and its items; None where it has none."""
    for statement in statements(text):
        if statement.is_header(text):
            return None
        if isinstance(statement.value.get(name), list):
            return Span(statement.value_start, statement.end), _items(text, statement)
    return None


def _items(text: str, statement: Statement) -> list[Span]:
    items: list[Span] = []
    depth, item = 0, Span(0, 0)
    for token in _TOKEN.finditer(text, statement.value_start, statement.end):
        mark = token["mark"]
        if depth == 1 and mark in (",", "]"):
            if item.end:
                items.append(item)
            item = Span(0, 0)
        elif depth and not token["comment"] and (word := token[0].strip()):
            end = token.start() + len(token[0].rstrip())
            start = item.start if item.end else token.start() + token[0].index(word)
            item = Span(start, end)
        depth += (mark in ("[", "{")) - (mark in ("]", "}")) if mark else 0
    return items


def statements(text: str) -> Iterator[Statement]:
    """Yield the headers and the keys of a valid document, in its order."""
    start, end, value_start, depth = -1, -1, -1, 0
    for token in _TOKEN.finditer(text):
        mark, word = token["mark"], token[0].strip()
        if mark == "\n" and depth == 0:
            if start >= 0:
                yield _statement(text, start, end, value_start)
            start, value_start = -1, -1
        elif word and not token["comment"]:
            start = token.start() + token[0].index(word) if start < 0 else start
            end = token.start() + len(token[0].rstrip())
            if mark == "=" and value_start < 0:
                value_start = _skip(text, token.end())
            depth += (mark in ("[", "{")) - (mark in ("]", "}")) if mark else 0
    if start >= 0:
        yield _statement(text, start, end, value_start)


def written(value: object) -> str:
    """Return a text, a number, a boolean or a list of these as TOML spells it."""
    # TOML has JSON's strings and numbers, but for one character that it wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _statement(text: str, start: int, end: int, value_start: int) -> Statement:
    value = tomllib.loads(text[start:end])
    return Statement(start, end, value, end if value_start < 0 else value_start)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at
