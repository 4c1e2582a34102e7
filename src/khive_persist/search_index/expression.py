"""Compile a query: to an expression of FTS5 for its words, and to SQL for its filters.

A term is a phrase of the index's words, or of its sub-tokens: `parseConfig` finds `parse_config`,
and `config` finds both. Of Chinese, Japanese and Korean the bigrams are the words.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.search_index.query import (
    MAIN_AGENT,
    All,
    AnyOf,
    Criterion,
    Not,
    Part,
    Query,
    Term,
)
from khive_persist.search_index.tokens import is_cjk, parts_of
from khive_persist.search_index.words import words
from khive_persist.store.source import Statement

MAX_CANDIDATES: Final = 500
# Words that so many passages have tell little of which is meant: of more, the newest are ranked.
MAX_SCORED: Final = 5_000
# A word of a text says more of it than a part of a longer word.
_RANK: Final = "bm25(words, 1.0, 0.6)"
_COLUMNS: Final = (
    "p.number, p.kind, p.client, p.tool_name, p.agent_id, p.created_at, p.failed,"
    " length(p.text) AS size, substr(p.text, -4) AS checksum,"
    " r.purpose, r.record_id, s.session_id"
)
_MATCHING: Final = "SELECT rowid FROM words WHERE words MATCH ?"


class Compiled(NamedTuple):
    """A query for the index.

    Attributes:
        match: The expression of FTS5; empty where nothing but SQL can tell.
        condition: The condition on passages `p`, with its values.
    """

    match: str
    condition: Statement

    def best(self, limit: int) -> Statement:
        """Return the SELECT of number and score of the best, and of how many were scored."""
        sql, values = self._matching(f"{_RANK} AS score", "0.0 AS score", is_newest_first=True)
        # bm25 takes a microsecond or so of each, and half of all may match.
        return Statement(
            f"WITH scored AS MATERIALIZED ({sql} LIMIT {MAX_SCORED})"
            " SELECT number, score, (SELECT count(*) FROM scored) FROM scored"
            f" ORDER BY score, number DESC LIMIT {limit}",
            values,
        )

    def counting(self) -> Statement:
        """Return the SELECT of the number of all passages that match."""
        sql, values = self._matching("1", "1")
        return Statement(f"SELECT count(*) FROM ({sql})", values)

    def _matching(self, score: str, no_score: str, *, is_newest_first: bool = False) -> Statement:
        sql, values = self.condition
        if not self.match:
            newest = " ORDER BY p.number DESC" if is_newest_first else ""
            return Statement(
                f"SELECT p.number AS number, {no_score} FROM passages AS p WHERE {sql}{newest}",
                values,
            )
        joined = "" if sql == _ALWAYS.sql else " CROSS JOIN passages AS p ON p.number = words.rowid"
        newest = " ORDER BY words.rowid DESC" if is_newest_first else ""
        return Statement(
            f"SELECT words.rowid AS number, {score} FROM words{joined}"
            f" WHERE words MATCH ? AND {sql}{newest}",
            [self.match, *values],
        )


_ALWAYS: Final = Statement("1", [])


def compiled(query: Query) -> Compiled:
    """Compile a query."""
    matched, unmatched, conditions = [], [], []
    for part in conjuncts(query.part):
        inner = part.part if isinstance(part, Not) else part
        expression = match_of(inner)
        if expression is None:
            conditions.append(_condition(part))
        elif isinstance(part, Not):
            unmatched.append(expression)
        else:
            matched.append(expression)
    if not matched:
        # FTS5 has no NOT of its own: it takes away from what matches.
        conditions += [_none_of(expression) for expression in unmatched]
        return Compiled("", _all(conditions))
    match = " AND ".join(matched)
    if unmatched:
        match = f"({match}) NOT ({' OR '.join(unmatched)})"
    return Compiled(match, _all(conditions))


def match_of(part: Part) -> str | None:
    """Return the expression of FTS5 of a part; None where SQL has to tell, as of a filter."""
    match part:
        case Term():
            return _term(part)
        case AnyOf(parts=parts):
            expressions = [match_of(inner) for inner in parts]
            present = [expression for expression in expressions if expression is not None]
            return f"({' OR '.join(present)})" if len(present) == len(parts) else None
        case All():
            compiled_part = compiled(Query("", part))
            is_whole = compiled_part.match and compiled_part.condition.sql == _ALWAYS.sql
            return f"({compiled_part.match})" if is_whole else None
    return None


def conjuncts(part: Part) -> list[Part]:
    """Return the parts of a query that have to hold together."""
    if not isinstance(part, All):
        return [part]
    return [conjunct for inner in part.parts for conjunct in conjuncts(inner)]


def candidates_of(numbers: str) -> Statement:
    """Return the SELECT of some passages as that of candidates; their numbers are a JSON array."""
    return Statement(
        f"SELECT {_COLUMNS}, 0.0 AS score FROM passages AS p"
        " JOIN records AS r ON r.number = p.record"
        " JOIN sessions AS s ON s.number = p.session"
        " WHERE p.number IN (SELECT value FROM json_each(?))",
        [numbers],
    )


def _term(term: Term) -> str:
    """Return the phrase of a term; of a word with parts, that of its parts, too."""
    tokens = words(term.text)
    if len(tokens) > 1 and any(map(is_cjk, term.text)):
        # Pairs of characters stand by themselves: with what is between runs they are no phrase.
        last = Term(tokens[-1], term.is_prefix)
        return f"({' AND '.join(_term(word) for word in (*map(Term, tokens[:-1]), last))})"
    if len(tokens) == 1 and len(tokens[0]) == 1 and is_cjk(tokens[0]):
        # A single character of Chinese is the beginning of pairs.
        return _phrase(tokens, is_prefix=True)
    parts = parts_of(tokens[0]) if len(tokens) == 1 else ()
    if len(parts) < 2 and list(parts) in ([], tokens):
        return _phrase(tokens, term.is_prefix)
    is_open = term.is_prefix and not is_cjk(tokens[0][-1])
    of_parts = _phrase(parts, is_open)
    return f"({_phrase(tokens, term.is_prefix)} OR {of_parts})"


def _phrase(tokens: Sequence[str], is_prefix: bool) -> str:
    # Tokens are letters and digits alone: no quote is in them.
    return f'"{" ".join(tokens)}"' + (" *" if is_prefix else "")


def _all(conditions: Sequence[Statement]) -> Statement:
    return _joined(" AND ", conditions) if conditions else _ALWAYS


def _joined(operator: str, conditions: Sequence[Statement]) -> Statement:
    sql = operator.join(f"({condition.sql})" for condition in conditions)
    return Statement(sql, [value for condition in conditions for value in condition.values])


def _condition(part: Part) -> Statement:
    expression = match_of(part)
    if expression is not None:
        return Statement(f"p.number IN ({_MATCHING})", [expression])
    match part:
        case All(parts=parts):
            return _joined(" AND ", [_condition(inner) for inner in parts])
        case AnyOf(parts=parts):
            return _joined(" OR ", [_condition(inner) for inner in parts])
        case Not(part=inner):
            sql, values = _condition(inner)
            return Statement(f"NOT ({sql})", values)
        case Criterion():
            return _criterion(part)
    raise TypeError(part)


def _none_of(expression: str) -> Statement:
    return Statement(f"p.number NOT IN ({_MATCHING})", [expression])


def _criterion(criterion: Criterion) -> Statement:
    value = (
        clock.to_text(criterion.value)
        if isinstance(criterion.value, datetime)
        else (criterion.value)
    )
    match criterion.name:
        case "path":
            # Of a call that touches a path all is meant, its output, too.
            trigrams = '"' + str(value).replace('"', '""') + '"'
            return Statement(
                "p.record IN (SELECT t.record FROM substrings"
                " JOIN passages AS t ON t.number = substrings.rowid WHERE substrings MATCH ?)",
                [trigrams],
            )
        case "tool":
            is_tool = "p.tool_name = ? COLLATE NOCASE OR p.client = ? COLLATE NOCASE"
            return Statement(is_tool, [value, value])
        case "session":
            begins = "session_id BETWEEN ? AND ? || char(1114111)"
            is_session = f"SELECT number FROM sessions WHERE session_id <> '' AND {begins}"
            return Statement(f"p.session IN ({is_session})", [value, value])
        case "since":
            return Statement("p.created_at >= ?", [value])
        case "until":
            return Statement("p.created_at < ?", [value])
        case "kind":
            return Statement("p.kind = ?", [value])
        case "failed":
            return Statement("p.failed = ?", [int(bool(value))])
        case "client":
            return Statement("p.client = ? COLLATE NOCASE", [value])
        case "agent":
            # An id, or the beginning of one.
            if value == MAIN_AGENT:
                return Statement("p.agent_id = ''", [])
            return Statement("p.agent_id BETWEEN ? AND ? || char(1114111)", [value, value])
    raise TypeError(criterion)
