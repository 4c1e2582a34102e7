"""Prompts that events tell of, and which of them a transcript has, too."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.sessions.timeline.entry import Entry, content_of, said
from khive_persist.sessions.timeline.labels import line_of, typed_command

# What a transcript writes around a prompt stands at about the time of its event.
_NEAR: Final = timedelta(minutes=1)
_NOT_KEPT: Final = "(the text of this prompt was not kept)"


class _Said(NamedTuple):
    at: datetime
    words: str
    turn: str | None


def prompts_of_events(events: Sequence[HookEvent], messages: Sequence[Message]) -> Iterator[Entry]:
    """The prompts of which events alone tell.

    A transcript has a prompt if it has its words, or else a prompt of its turn, or its words among
    others at that time: each of its prompts stands for one event.
    """
    left = list(_in_messages(messages))
    prompts = []
    for event in events:
        content = content_of(event)
        if content.get("event_type") == "prompt_submitted":
            turn = content.get("prompt_id") or content.get("turn_id")
            words = line_of(_text_of(content))
            prompts.append((_Said(event.created_at, words, turn), content))
    for is_same in (_says_the_same, _is_of_the_turn, _holds):
        waiting = []
        for prompt, content in prompts:
            found = next((one for one in left if is_same(prompt, one)), None)
            if found is None:
                waiting.append((prompt, content))
            else:
                left.remove(found)
        prompts = waiting
    for prompt, content in prompts:
        entry = said(prompt.at, "prompt", _text_of(content) or _NOT_KEPT)
        yield entry._replace(agent_id=content.get("agent_id"))


def _in_messages(messages: Sequence[Message]) -> Iterator[_Said]:
    for message in messages:
        content = content_of(message)
        text, kind = content.get("text"), content.get("kind", "message")
        if content.get("role") == "user" and text and kind == "message":
            yield _Said(message.created_at, line_of(text), content.get("turn_id"))
        elif kind == "command" and text:
            yield _Said(message.created_at, typed_command(text), content.get("turn_id"))


def _text_of(content: Mapping[str, Any]) -> str:
    payload = content.get("payload")
    prompt = in_our_words(payload).get("prompt") if isinstance(payload, Mapping) else None
    return "" if prompt is None else prompt if isinstance(prompt, str) else line_of(prompt)


def _says_the_same(prompt: _Said, other: _Said) -> bool:
    return prompt.words == other.words


def _is_of_the_turn(prompt: _Said, other: _Said) -> bool:
    return prompt.turn is not None and prompt.turn == other.turn


def _holds(prompt: _Said, other: _Said) -> bool:
    return abs(prompt.at - other.at) <= _NEAR and prompt.words in other.words
