"""What a client sent and what the model told, beside what was stored."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from clients.mock_model import Told
from clients.wire import Usage

_NONE: Final = Usage(0, 0, 0)
_PAYLOAD: Final = '"payload":'
_NAMES: Final = ("hook_event_name", "hookEventName", "hookName")
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
        unheard: How many of those sent the second recorder was stopped at by the client, before it
            had read them.
        repeated: How many are stored once more than they were sent, or more than once unsent.
        reconstructed: How many were made from a transcript, as their hook failed.
    """

    sent: int = 0
    stored: int = 0
    equal: int = 0
    foreign: int = 0
    unheard: int = 0
    repeated: int = 0
    reconstructed: int = 0

    @property
    def are_whole(self) -> bool:
        """Whether each event that the recorder has is stored once, and as nobody else's."""
        heard = self.sent - self.unheard
        return heard == self.equal and not self.repeated and not self.foreign

    @property
    def are_equal(self) -> bool:
        """Whether the same is so, and nothing else is stored."""
        return self.are_whole and self.stored <= self.sent


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

    @property
    def are_none(self) -> bool:
        """Whether none are stored."""
        return self.stored == _NONE


def stored_events(folder: Path) -> list[Stored]:
    """Return the events in the databases of a `.khive`, read by SQLite alone."""
    events = []
    for path in sorted(folder.glob("*_hooks.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            for (content,) in connection.execute("SELECT content FROM hook_events"):
                events.append(_stored(content))
    return events


def names_of(texts: Iterable[str], registered: Mapping[str, str]) -> list[str]:
    """Return the names of the events with these texts, each once, in their order.

    Args:
        texts: The texts that were sent.
        registered: The names that events are registered by, as in `Client.event_names`.
    """
    documents = [json.loads(text) for text in texts if text]
    names = {_name(document, registered) for document in documents if isinstance(document, dict)}
    return sorted(names - {""})


def compare(sent: Sequence[str], stored: Iterable[Stored], tool: str) -> Events:
    """Compare what a tool sent with what is stored."""
    rows = list(stored)
    own = [row for row in rows if row.tool == tool and not row.is_reconstructed]
    heard = [text for text in sent if text]
    sent_texts, stored_texts = Counter(heard), Counter(row.payload for row in own)
    common = sent_texts & stored_texts
    repeated = [count - max(sent_texts[text], 1) for text, count in stored_texts.items()]
    return Events(
        sent=len(sent),
        stored=len(own),
        equal=common.total(),
        unheard=len(sent) - len(heard),
        repeated=sum(count for count in repeated if count > 0),
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


def _name(document: Mapping[str, Any], registered: Mapping[str, str]) -> str:
    told = (document[key] for key in _NAMES if isinstance(document.get(key), str))
    name: str = next(told, "") or next((key for key in document if key in registered), "")
    return registered.get(name, name)


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
