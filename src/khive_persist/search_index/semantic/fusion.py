"""Hybrid rank: what has the words and what is near in meaning, in one order.

The orders are joined by reciprocal rank fusion, which needs no common scale of bm25 and cosines:
Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR 2009, https://doi.org/10.1145/1571941.1572114, with its k of 60.
"""

from typing import TYPE_CHECKING, Final

from khive_persist.search_index import expression
from khive_persist.search_index.query import All, Not, Query
from khive_persist.search_index.ranking import Candidate, Matches, Ranked, text_of
from khive_persist.store import codec
from khive_persist.store.source import Statement
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.named_rows import rows_as

if TYPE_CHECKING:
    from khive_persist.search_index.semantic.source import Matrix

# Something is always nearest: further ones are noise.
MOST_NEAREST: Final = 100
_K: Final = 60


def meaning_of(query: Query) -> str:
    """Return the words whose meaning is sought; an empty text where there are filters alone."""
    return " ".join(term.text for term in query.terms())


def filters_of(query: Query) -> Statement | None:
    """Return the condition of a query without the words that a passage has to have; None for none.

    What is excluded stays excluded.
    """
    parts = tuple(
        part
        for part in expression.conjuncts(query.part)
        if isinstance(part, Not) or expression.match_of(part) is None
    )
    return expression.compiled(query._replace(part=All(parts))).condition if parts else None


def with_nearest(
    connection: Connection, matches: Matches, query: Query, name: str, row: "Matrix"
) -> Matches:
    """Return matches with the passages that are nearest to a vector, in their common order.

    Args:
        connection: The index.
        matches: The passages with the words.
        query: The query, whose filters hold for what is near, too.
        name: The name of the model that made the vector.
        row: The vector of `meaning_of` the query, as the only row.
    """
    from khive_persist.search_index.semantic.vectors import nearest

    numbers = [
        number for number, _ in nearest(connection, name, row, filters_of(query), MOST_NEAREST)
    ]
    statement = expression.candidates_of(codec.dump(numbers))
    candidates = {
        candidate.number: candidate
        for candidate in rows_as(Candidate, connection.execute(*statement))
    }
    in_order = [candidates[number] for number in numbers if number in candidates]
    return fused(matches, in_order)


def fused(matches: Matches, in_order: list[Candidate]) -> Matches:
    """Join what has the words with what is near, the nearest first; equal texts count once."""
    by_text = {text_of(entry.candidate): entry for entry in matches.ranked}
    ranks = {text: 1 / (_K + place) for place, text in enumerate(by_text, 1)}
    nearest_texts: dict[tuple[object, ...], Candidate] = {}
    for candidate in in_order:
        nearest_texts.setdefault(text_of(candidate), candidate)
    for place, (text, candidate) in enumerate(nearest_texts.items(), 1):
        ranks[text] = ranks.get(text, 0.0) + 1 / (_K + place)
        by_text.setdefault(text, Ranked(0.0, candidate, has_words=False))
    entries = [entry._replace(rank=ranks[text]) for text, entry in by_text.items()]
    entries.sort(key=lambda entry: (-entry.rank, entry.candidate.number))
    total = matches.total + len(entries) - len(matches.ranked)
    return Matches(total, entries)
