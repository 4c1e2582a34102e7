"""What a client sent and what the model told, beside what was stored."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from clients.mock_model import Told
from clients.wire import Usage

_NONE: Final = Usage(0, 0, 0)
_PAYLOAD: Final = '"payload":'
_DECODER: Final = json.JSONDecoder()


class Stored(NamedTuple):
    """One stored event: its tool, its payload's text, and whether it was made from a transcript."""

    tool: str
    payload: str
    is_reconstructed: bool


class Events(NamedTuple):
    """Events of one run.

    Attributes:
        sent: How many the client gave to the second recorder.
        stored: How many of the client are stored, without reconstructed ones.
        equal: How many of those sent have a stored one of their own with the same text.
        foreign: How many are stored as another client's.
        reconstructed: How many were made from a transcript, as their hook failed.
    """

    sent: int = 0
    stored: int = 0
    equal: int = 0
    foreign: int = 0
    reconstructed: int = 0

    @property
    def are_equal(self) -> bool:
        """Whether each event is stored once, as it was sent, and as nobody else's."""
        return self.sent == self.stored == self.equal and not self.foreign


class Tokens(NamedTuple):
    """Tokens of one run, by class.

    Attributes:
        told: The tokens of the answers of scripts.
        aside: The tokens of answers to what the client asked besides, as for a title.
        stored: The tokens of the stored messages.
    """

    told: Usage = _NONE
    aside: Usage = _NONE
    stored: Usage = _NONE

    @property
    def are_equal(self) -> bool:
        """Whether nothing is lost or counted twice; a client may keep what it asked besides."""
        return self.stored in {self.told, _sum([self.told, self.aside])}


def stored_events(folder: Path) -> list[Stored]:
    """Return the events in the databases of a `.khive`, read by SQLite alone."""
    events = []
    for path in sorted(folder.glob("*_hooks.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            for (content,) in connection.execute("SELECT content FROM hook_events"):
                events.append(_stored(content))
    return events


def compare(sent: Sequence[str], stored: Iterable[Stored], tool: str) -> Events:
    """Compare what a tool sent with what is stored."""
    rows = list(stored)
    own = [row for row in rows if row.tool == tool and not row.is_reconstructed]
    common = Counter(sent) & Counter(row.payload for row in own)
    return Events(
        sent=len(sent),
        stored=len(own),
        equal=common.total(),
        foreign=sum(row.tool != tool for row in rows),
        reconstructed=sum(row.is_reconstructed for row in rows if row.tool == tool),
    )


def tokens(told: Iterable[Told], models: Iterable[dict[str, Any]]) -> Tokens:
    """Compare what the model told with the sums by model of `khive-persist stats`."""
    answers = list(told)
    return Tokens(
        told=_sum(one.usage for one in answers if one.script),
        aside=_sum(one.usage for one in answers if not one.script),
        stored=_sum(
            Usage(one["input"] + one["cache_write"], one["cache_read"], one["output"])
            for one in models
        ),
    )


def _sum(usages: Iterable[Usage]) -> Usage:
    rows = [_NONE, *usages]
    return Usage(*(sum(numbers) for numbers in zip(*rows, strict=True)))


def _stored(content: str) -> Stored:
    document = json.loads(content)
    is_reconstructed = bool(document.get("metadata", {}).get("reconstructed"))
    payload = _text_of(document.get("payload"), content)
    return Stored(document.get("tool", ""), payload, is_reconstructed)


def _text_of(payload: object, content: str) -> str:
    """Return a payload's text as it stands in a row's content."""
    # Parsed and written anew, texts that differ would be equal.
    at = content.find(_PAYLOAD)
    while at >= 0:
        begin = at + len(_PAYLOAD)
        value, end = _DECODER.raw_decode(content, begin)
        if value == payload:
            return content[begin:end]
        at = content.find(_PAYLOAD, begin)
    return ""
