"""Read input and output of an entry of a timeline, whole; and the entries that have a text.

The timeline itself has of an output its beginning.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import Spent
from khive_persist.sessions.read import Session
from khive_persist.sessions.timeline.build import Timeline, build_with_calls
from khive_persist.sessions.timeline.calls import EventCall
from khive_persist.sessions.timeline.entry import Entry, Kind
from khive_persist.sessions.timeline.labels import text_of
from khive_persist.sessions.timeline.tool_call import arguments_of, diff

EXCERPT_CHARACTERS: Final = 20_000
_DIFF_CONTEXT: Final = 3


class Excerpt(NamedTuple):
    """A text, or the beginning of a long one.

    Attributes:
        text: The first 20,000 characters, or all.
        characters: The number of all characters.
    """

    text: str
    characters: int


class Argument(NamedTuple):
    """An argument of a tool call."""

    name: str
    value: Excerpt


class Usage(NamedTuple):
    """The tokens that a message used, and its cost.

    Attributes:
        input: Tokens of the prompt that came from no cache.
        cache_read: Those that came from one.
        cache_write: Those that were put into one.
        output: Tokens of the answer, reasoning included.
        tokens: All of these.
        cost: The cost in USD; None where it has no price.
        unpriced: 1 where it used something that has no price.
    """

    input: int
    cache_read: int
    cache_write: int
    output: int
    tokens: int
    cost: float | None
    unpriced: int


class EntryDetails(NamedTuple):
    """An entry with all that went in and came out.

    Attributes:
        id: Its id.
        arguments: The arguments of a call, without those that `diff` shows.
        diff: The edit of a call as a unified diff; None where it is no edit.
        output: The result of a call; None where there is none, or where it is no call.
        usage: The tokens and the cost of its message; None where another entry of that message
            has them, or it is no message.
    """

    id: str
    arguments: list[Argument]
    diff: Excerpt | None
    output: Excerpt | None
    usage: Usage | None


def excerpt(text: str, *, is_whole: bool) -> Excerpt:
    """Return a text, or its beginning."""
    return Excerpt(text if is_whole else text[:EXCERPT_CHARACTERS], len(text))


def details_of(
    session: Session,
    prices: PriceTable,
    id: str,
    *,
    thinking: bool = False,
    is_whole: bool = False,
) -> EntryDetails | None:
    """Return the details of an entry; None where these records have no such entry.

    Args:
        session: The records of the entry.
        prices: The price of each model.
        id: The id of the entry.
        thinking: Whether thoughts are entries.
        is_whole: Whether long texts are given as a whole.
    """
    timeline = build_with_calls(session, prices, thinking=thinking)
    # Without the call that has the same id before it, this one would have that id.
    calls = dict(timeline.calls) | {call.id_by_input(): call for call in timeline.calls.values()}
    call = calls.get(id)
    if call is None and all(entry.id != id for entry in timeline.entries):
        return None
    # Of nothing it is all zeros, and says nothing.
    used = timeline.used.get(id, Spent())
    changes = diff(call.input, context=_DIFF_CONTEXT, most_written=None) if call else []
    arguments = arguments_of(call.input) if call else {}
    output = _output_of(call)
    return EntryDetails(
        id,
        [Argument(name, excerpt(text, is_whole=is_whole)) for name, text in arguments.items()],
        excerpt("\n".join(changes), is_whole=is_whole) if changes else None,
        None if output is None else excerpt(output, is_whole=is_whole),
        _usage(used) if any(used) else None,
    )


def find_entries(
    timeline: Timeline, text: str = "", kind: Kind | None = None, records: Collection[str] = ()
) -> list[str]:
    """Return the ids of the entries that pass all of these filters, in order of time.

    Args:
        timeline: The entries.
        text: A text that stands in the entry, in whatever case.
        kind: The kind of the entry; None for any.
        records: Ids of records, of which the entry comes from one; none for any.
    """
    folded = text.casefold()
    return [
        entry.id
        for entry in timeline.entries
        if kind in (None, entry.kind)
        and (not records or not _records_of(entry, timeline).isdisjoint(records))
        and any(folded in part.casefold() for part in _texts(entry, timeline.calls.get(entry.id)))
    ]


def _records_of(entry: Entry, timeline: Timeline) -> set[str]:
    # An entry names the first records of a call alone.
    call = timeline.calls.get(entry.id)
    return {*entry.records, *(call.records if call else ())}


def _texts(entry: Entry, call: EventCall | None) -> Sequence[str]:
    texts = ["\n".join((entry.title, *entry.lines))]
    if call is not None:
        texts += arguments_of(call.input).values()
        texts += ["\n".join(diff(call.input, most_written=None)), _output_of(call) or ""]
    return texts


def _output_of(call: EventCall | None) -> str | None:
    return None if call is None or call.result is None else text_of(call.result.get("output"))


def _usage(used: Spent) -> Usage:
    return Usage(
        used.input,
        used.cache_read,
        used.cache_write,
        used.output,
        used.tokens,
        used.cost,
        used.unpriced,
    )
