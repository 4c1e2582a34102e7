"""The prompts of events, without those that a transcript has, too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.sessions.timeline.entry import Entry, content_of, of_record, text_entry
from khive_persist.sessions.timeline.labels import line_of, typed_command

# A transcript has other text around a prompt, at about the time of its event.
_NEAR: Final = timedelta(minutes=1)
_NOT_KEPT: Final = "(the text of this prompt was not kept)"


class _Prompt(NamedTuple):
    at: datetime
    words: str
    turn: str | None
    record_id: str


# How a transcript may have the prompt of an event, the surest first.
_WAYS: Final[tuple[Callable[[_Prompt, _Prompt], bool], ...]] = (
    lambda prompt, other: prompt.words == other.words,
    lambda prompt, other: prompt.turn is not None and prompt.turn == other.turn,
    lambda prompt, other: abs(prompt.at - other.at) <= _NEAR and prompt.words in other.words,
)


class Prompts:
    """The prompts of a session's events.

    A transcript has a prompt if it has its words, or else a prompt of its turn, or its words among
    others at that time: each of its prompts stands for one event.

    Attributes:
        events: The id of the event of a prompt that a message has, by the message's id.
    """

    def __init__(self, events: Sequence[HookEvent], messages: Sequence[Message]) -> None:
        self.events: dict[str, str] = {}
        unmatched = list(_in_messages(messages))
        prompts = []
        for event in events:
            content = content_of(event)
            if content.get("event_type") == "prompt_submitted":
                turn = content.get("prompt_id") or content.get("turn_id")
                words = line_of(_text_of(content))
                prompts.append((_Prompt(event.created_at, words, turn, event.id), content))
        for is_same in _WAYS:
            remaining = []
            for prompt, content in prompts:
                match = next((other for other in unmatched if is_same(prompt, other)), None)
                if match is None:
                    remaining.append((prompt, content))
                else:
                    unmatched.remove(match)
                    self.events[match.record_id] = prompt.record_id
            prompts = remaining
        self._others = prompts

    def others(self) -> Iterator[Entry]:
        """Yield those that no message has."""
        for prompt, content in self._others:
            entry = text_entry(prompt.at, "prompt", _text_of(content) or _NOT_KEPT)
            entry = of_record(entry, prompt.record_id, "text")
            yield entry._replace(agent_id=content.get("agent_id"))


def _in_messages(messages: Sequence[Message]) -> Iterator[_Prompt]:
    for message in messages:
        content = content_of(message)
        text, kind = content.get("text"), content.get("kind", "message")
        if content.get("role") == "user" and text and kind == "message":
            yield _Prompt(message.created_at, line_of(text), content.get("turn_id"), message.id)
        elif kind == "command" and text:
            turn = content.get("turn_id")
            yield _Prompt(message.created_at, typed_command(text), turn, message.id)


def _text_of(content: Mapping[str, Any]) -> str:
    payload = content.get("payload")
    prompt = in_our_words(payload).get("prompt") if isinstance(payload, Mapping) else None
    return "" if prompt is None else prompt if isinstance(prompt, str) else line_of(prompt)
