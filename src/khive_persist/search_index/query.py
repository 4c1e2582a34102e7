"""The language of searches: words, phrases, prefixes, AND, OR, NOT, parentheses and filters.

    deadlock OR "database is locked"  tool:Bash  since:2d  -- two alternatives, of calls, lately

Words are joined by AND, which binds closer than OR. What has the form of a filter and is none, as
`Error:` or a URL, is words. Operators are in capitals: `and` is a word.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.search_index.result import PassageKind

FilterName = Literal[
    "path", "tool", "kind", "session", "since", "until", "failed", "client", "agent"
]  # fmt: skip

KINDS: Final[tuple[PassageKind, ...]] = get_args(PassageKind)
FILTERS: Final[tuple[FilterName, ...]] = get_args(FilterName)
MAX_CHARACTERS: Final = 10_000
# SQLite joins at most 256 levels of an expression; nobody writes as many.
MAX_TERMS: Final = 64
MAX_DEPTH: Final = 20
# Less than three characters have no trigram.
LEAST_PATH_CHARACTERS: Final = 3
# The main agent has no id.
MAIN_AGENT: Final = "main"

_FILTER: Final = re.compile(rf"({'|'.join(FILTERS)}):", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s*")
_BARE: Final = re.compile(r'[^\s"]+')
_LETTER: Final = re.compile(r"[^\W_]")
_YES_NO: Final = {"yes": True, "true": True, "no": False, "false": False}


class Term(NamedTuple):
    """Words that follow each other; of one word, that word.

    Attributes:
        text: The words as they were written.
        is_prefix: Whether the last word may go on.
    """

    text: str
    is_prefix: bool = False


class Criterion(NamedTuple):
    """A filter: a condition on what a passage is of.

    Attributes:
        name: The name of the filter.
        value: Its checked value: an instant, yes or no, or a text.
    """

    name: FilterName
    value: str | bool | datetime


class All(NamedTuple):
    """All of these parts, at least one."""

    parts: tuple["Part", ...]


class AnyOf(NamedTuple):
    """At least one of these parts."""

    parts: tuple["Part", ...]


class Not(NamedTuple):
    """All that this part does not match."""

    part: "Part"


Part = Term | Criterion | All | AnyOf | Not


class Query(NamedTuple):
    """A parsed query.

    Attributes:
        text: The text that was parsed.
        part: The tree of its parts.
    """

    text: str
    part: Part

    def with_criteria(self, criteria: list[Criterion]) -> "Query":
        """Return the query with these filters, too."""
        return self._replace(part=All((self.part, *criteria))) if criteria else self

    def terms(self) -> list[Term]:
        """Return the terms that a passage may match, in order: none below a NOT."""
        return list(dict.fromkeys(_terms(self.part)))


def parse(text: str) -> Query:
    """Parse the text of a search.

    Raises:
        InvalidQueryError: Nothing in it can be searched for, it is too long, a quote or a
            parenthesis is not closed, an operator has nothing beside it, or a filter has a value
            that it cannot have.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidQueryError(f"a search has at most {MAX_CHARACTERS:,} characters")
    # SQLite ends a text at a NUL; a lone surrogate is no text at all.
    cleaned = text.replace("\0", " ").encode("utf-8", "replace").decode()
    part = _Parser(cleaned).parse()
    if part is None:
        raise InvalidQueryError(
            "there is nothing to search for", hint="write a word, or a filter as tool:Bash"
        )
    return Query(text, part)


def criterion(name: FilterName, value: str | bool | datetime) -> Criterion:
    """Return a filter with a checked value.

    Raises:
        InvalidQueryError: The filter cannot have this value.
    """
    if not isinstance(value, str):
        return Criterion(name, value)
    match name:
        case "since" | "until":
            try:
                return Criterion(name, clock.moment(value))
            except ValueError as error:
                raise _wrong(name, value, clock.MOMENTS) from error
        case "failed":
            if value.lower() not in _YES_NO:
                raise _wrong(name, value, "write yes or no")
            return Criterion(name, _YES_NO[value.lower()])
        case "kind":
            if value.lower() not in KINDS:
                raise _wrong(name, value, "one of " + ", ".join(KINDS))
            return Criterion(name, value.lower())
        case "path":
            if len(value) < LEAST_PATH_CHARACTERS:
                raise _wrong(name, value, f"write at least {LEAST_PATH_CHARACTERS} characters")
    return Criterion(name, value)


def _wrong(name: str, value: str, hint: str) -> InvalidQueryError:
    return InvalidQueryError(f"{name}:{value[:80]} cannot be", hint=hint)


def _terms(part: Part) -> Iterator[Term]:
    match part:
        case Term():
            yield part
        case All(parts=parts) | AnyOf(parts=parts):
            for inner in parts:
                yield from _terms(inner)


class _Parser:
    """Reads a text from left to right; each method leaves its place behind what it read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._count = 0

    def parse(self) -> Part | None:
        part = self._alternatives()
        if self._at < len(self._text):
            raise InvalidQueryError(f"the parenthesis at {self._at + 1} closes none")
        return part

    def _alternatives(self) -> Part | None:
        parts = [self._conjunction()]
        while self._takes("OR"):
            parts.append(self._conjunction())
            if parts[-1] is None or parts[-2] is None:
                raise InvalidQueryError("OR stands between two words")
        present = tuple(part for part in parts if part is not None)
        return _joined(AnyOf, present)

    def _conjunction(self) -> Part | None:
        parts: list[Part] = []
        while True:
            is_joined = self._takes("AND")
            if is_joined and not parts:
                raise InvalidQueryError("AND stands between two words")
            start = self._at
            part = self._unary()
            if part is not None:
                parts.append(part)
            elif is_joined and self._at == start:
                raise InvalidQueryError("AND stands between two words")
            elif self._at == start:
                return _joined(All, tuple(parts))

    def _unary(self) -> Part | None:
        """Read one part; None where none is left here, or where it has no letter and no digit."""
        if self._takes("NOT"):
            start = self._at
            part = self._nested(self._unary)
            if part is None and self._at == start:
                raise InvalidQueryError("NOT stands before a word")
            return None if part is None else Not(part)
        self._skip()
        match self._text[self._at : self._at + 1]:
            case "" | ")":
                return None
            case "(":
                return self._group()
            case '"':
                return self._term(self._quoted())
        if filter_name := _FILTER.match(self._text, self._at):
            return self._filter(filter_name)
        if self._peeks("OR") or self._peeks("AND"):
            return None
        return self._term(self._bare())

    def _group(self) -> Part | None:
        start = self._at
        self._at += 1
        part = self._nested(self._alternatives)
        if self._text[self._at : self._at + 1] != ")":
            raise InvalidQueryError(f"the parenthesis at {start + 1} is not closed")
        self._at += 1
        return part

    def _nested(self, read: Callable[[], Part | None]) -> Part | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidQueryError(f"a search is nested at most {MAX_DEPTH} levels deep")
        part = read()
        self._depth -= 1
        return part

    def _filter(self, prefix: re.Match[str]) -> Part | None:
        self._at = prefix.end()
        is_quoted = self._text[self._at : self._at + 1] == '"'
        value = self._quoted() if is_quoted else self._bare()
        if not value:
            # As in a line that was copied: `path: is missing`.
            return self._term(prefix[1])
        self._counted()
        return criterion(prefix[1].lower(), value)  # type: ignore[arg-type]

    def _quoted(self) -> str:
        start = self._at + 1
        end = self._text.find('"', start)
        if end < 0:
            raise InvalidQueryError(f"the quote at {start} is not closed")
        self._at = end + 1
        return self._text[start:end]

    def _bare(self) -> str:
        """Read up to a space or a quote; the parentheses of a group are not of the word."""
        run = _BARE.match(self._text, self._at)
        word = run[0] if run else ""
        while self._depth and word.endswith(")") and word.count(")") > word.count("("):
            word = word[:-1]
        self._at += len(word)
        return word

    def _term(self, text: str) -> Term | None:
        is_prefix = text.endswith("*") and _LETTER.match(text[-2:-1]) is not None
        if self._text[self._at : self._at + 1] == "*":
            self._at += 1
            is_prefix = _LETTER.match(text[-1:]) is not None
        if not _LETTER.search(text):
            return None
        self._counted()
        return Term(text.rstrip("*") if is_prefix else text, is_prefix)

    def _counted(self) -> None:
        self._count += 1
        if self._count > MAX_TERMS:
            raise InvalidQueryError(f"a search has at most {MAX_TERMS} words and filters")

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()

    def _peeks(self, operator: str) -> bool:
        self._skip()
        end = self._at + len(operator)
        follower = self._text[end : end + 1]
        is_end = not follower or follower.isspace() or follower in '()"'
        return self._text.startswith(operator, self._at) and is_end

    def _takes(self, operator: str) -> bool:
        if not self._peeks(operator):
            return False
        self._at += len(operator)
        return True


def _joined(kind: type[All] | type[AnyOf], parts: tuple[Part, ...]) -> Part | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return kind(parts)
