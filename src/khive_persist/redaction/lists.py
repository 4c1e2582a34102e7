"""Find secrets that stand in a row: in a list with a name, or a column of a table with one."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final

from khive_persist.redaction.assignments import assignment_at
from khive_persist.redaction.escapes import MARK, Unescaped, compiled
from khive_persist.redaction.names import STEMS, Name, classify
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.values import is_item_of, is_password

# In text that may still be escaped, too: the rest of a name, and what separates it from a bracket,
# or from the dash of a block of YAML in its line; or the names of the columns after that.
_BEGIN = (
    r"[a-z0-9_.-]{0,40}+[\\\"'`\])]{0,16}(?:((?:(?:[,;\t]|(?<=\\)t)[\"'\\]{0,16}+"
    r"[a-z0-9_.-]{1,40}+[\"'\\]{0,16}+){0,40}(?:\r?\n|(?<=\\)[nr]))"
    r"|[ \t]{0,8}(?::(?: ?[\w.\[\]|&]{1,40} =)?|:?=>?)"
    r"(?:[ \t\r\n]|\\++[nrt]){0,80}+(?:\[|-[ \t]))"
)
_BRACKET = r"\s{0,80}\[\s{0,80}"
_DASH = r"[ \t]{0,8}\r?\n(?=[ \t]{0,40}-[ \t])"
_LONGEST: Final = 256
# One item and what is after it; no quote is within, so that none leaves the string that it is in.
_ITEM = (
    rf"(?:(?:[rbuf]{{1,2}}(?=[\"']))?([\"'`])([^\"'`\r\n]{{1,{_LONGEST}}})\1"
    rf"|()([^\s,\[\](){{}}\"'`<>]{{1,{_LONGEST}}}))\s{{0,80}}(?:,\s{{0,80}}|(?=\]))"
)
_LINE = (
    rf"[ \t]{{0,40}}-[ \t]{{1,8}}(?:([\"'])([^\"'`\r\n]{{1,{_LONGEST}}})\1"
    rf"|()([^\s\"'`<>]{{1,{_LONGEST}}}))[ \t]{{0,8}}(?:\r?\n|\Z|(?=\"))"
)
_MOST_ITEMS: Final = 1_000

_DELIMITERS = ",;\t"
_CELL = r"[\"']?[\w.-]{1,40}[\"']?"
# Backwards, from a name to the beginning of its line, or of the JSON string that it is in.
_BEFORE = rf"[\w.-]{{0,40}}[\"']?(?:[{_DELIMITERS}]{_CELL}){{0,40}}(?=[\n\r\"'`]|\Z)"
_AFTER = rf"[\w.-]{{0,40}}[\"']?(?:[{_DELIMITERS}]{_CELL}){{0,40}}\r?\n"
_ESCAPED_BEFORE = r"[\w.-]{0,40}(?:[\"'\\]{0,16}[,;\t\n\r\"'`]|[tnr]\\|\Z)"
_MOST_ROWS: Final = 10_000


class RowRule:
    """Find the items of lists, `"passwords": ["…", "…"]`, and the cells of columns of CSV."""

    words = STEMS

    @cached_property
    def _match(self) -> Callable[[str, int], re.Match[str] | None]:
        return re.compile(_BEGIN).match

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        separator = self._match(low, end)
        if separator is None:
            return False
        if separator[1]:
            preceding = text[max(0, start - 60) : start][::-1]
            return compiled(_ESCAPED_BEFORE).match(preceding) is not None
        return assignment_at(text, low, start, end) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        yield from self._items(text, hits)
        yield from self._cells(text, hits)

    def _items(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        position = 0
        for start, end in hits:
            assignment = assignment_at(text.flat, text.low, start, end)
            if assignment is None or assignment.at <= position:
                continue
            bracket = compiled(_BRACKET).match(text.flat, assignment.at)
            opening = bracket or compiled(_DASH).match(text.flat, assignment.at)
            if opening is None or (bracket is None and assignment.must_be_quoted):
                continue
            position = opening.end()
            for item in _in_a_row(_ITEM if bracket else _LINE, text.flat, position, _MOST_ITEMS):
                position = item.end()
                quote, group = (item[1], 2) if item[1] else ("", 4)
                if quote or not assignment.must_be_quoted:
                    yield from _secret(text, item, group, assignment.name, quoted=bool(quote))

    def _cells(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        position = 0
        for start, end in hits:
            following = compiled(_AFTER).match(text.flat, end)
            if start < position or following is None:
                continue
            preceding = compiled(_BEFORE).match(text.flat[max(0, start - 1700) : start][::-1])
            if preceding is None:
                continue
            header = text.flat[start - preceding.end() : following.end()].rstrip("\r\n")
            delimiter = next((delimiter for delimiter in _DELIMITERS if delimiter in header), "")
            cells = header.split(delimiter) if delimiter else []
            names = [classify(cell.strip("\"'")) for cell in cells]
            position = following.end()
            for row in _in_a_row(_row(delimiter, len(cells)), text.flat, position, _MOST_ROWS):
                position = row.end()
                for column, name in enumerate(names):
                    if name is not None:
                        yield from _secret(text, row, column + 1, name, quoted=True)


def _in_a_row(pattern: str, text: str, at: int, most: int) -> Iterator[re.Match[str]]:
    def matches() -> Iterator[re.Match[str]]:
        position = at
        while match := compiled(pattern).match(text, position):
            position = match.end()
            yield match
            if match.end() == match.start():
                return

    return islice(matches(), most)


def _row(delimiter: str, columns: int) -> str:
    if columns < 2:
        return r"(?!)"
    cell = rf"[\"']?([^\"'\r\n{delimiter}]{{0,{_LONGEST}}})[\"']?"
    return rf"(?!\Z){delimiter.join([cell] * columns)}(?:\r?\n|\Z|(?=\"))"


def _secret(
    text: Unescaped, match: re.Match[str], group: int, name: Name, *, quoted: bool
) -> Iterator[Candidate]:
    value = match[group]
    if not value or MARK in value or value.startswith((",", ":", "}", "]")):
        return
    is_given = name.is_password and quoted and is_password(value) and value.isprintable()
    if is_given or is_item_of(name, value, quoted=quoted):
        yield *text.span(*match.span(group)), name.kind, ""
