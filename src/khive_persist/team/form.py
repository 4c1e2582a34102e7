"""The content of a record as it leaves, by its form.

`metrics` is a list of what leaves, a purpose at a time: whatever no rule names stays here. A rule
gives a number, a time, a word of a known list, or a keyed hash, and no other text.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from khive_persist import clock
from khive_persist.models.outcome import VERDICTS
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    ASSIGNMENTS,
    CONVERSATIONS,
    EVENT_FILES,
    FOCUS_CHAINS,
    OUTCOMES,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.models.todo_list import COMPLETED, IN_PROGRESS, PENDING
from khive_persist.prices import TOKEN_CLASSES, PriceTable
from khive_persist.redaction import Redactor
from khive_persist.sessions import definitions
from khive_persist.store import codec
from khive_persist.team import known_words
from khive_persist.trust.macs import KeyedHashes

Rule = Callable[[Any, KeyedHashes], Any]
Rules = Mapping[str, Rule]

_LARGEST: Final = 2**63
_MOST_ITEMS: Final = 1_000


class Forms:
    """Makes of contents what leaves of them, in each form, by the settings of a project."""

    def __init__(self, hashes: KeyedHashes, prices: PriceTable, redactor: Redactor) -> None:
        self._hashes = hashes
        self._prices = prices
        self._redactor = redactor

    def content(self, form: str, purpose: Purpose, content: str | None, at: str | None) -> str:
        """Return the JSON of a record's content as it leaves.

        Args:
            form: `metrics`, `redacted` or `all`.
            purpose: The record's purpose.
            content: Its content as it is stored, which need not be JSON.
            at: Its time, as UTC text; None for one that cannot be read.
        """
        if form == "metrics":
            value = codec.column(content)
            fields = value if isinstance(value, dict) else {}
            return codec.dump(self._metrics(purpose, fields, at))
        document = _as_json(content)
        return document if form == "all" else self._redactor.redact_json(document)[0]

    def session(self, form: str, session: str) -> str:
        """Return a session's id as it leaves."""
        return self._hashes.of("session", session) if form == "metrics" and session else session

    def id(self, form: str, id: str) -> str:
        """Return a record's id as it leaves."""
        return self._hashes.of("record", id) if form == "metrics" else id

    def _metrics(
        self, purpose: Purpose, content: Mapping[str, Any], at: str | None
    ) -> dict[str, Any]:
        metrics = _fields(_RULES.get(purpose.name, {}), content, self._hashes)
        if purpose.name == CONVERSATIONS.name:
            instant = clock.from_column(at) or clock.unreadable()
            cost = definitions.spent(content, instant, self._prices).cost
            if cost is not None:
                metrics["cost_usd"] = cost
        return metrics


def has_metrics(purpose: Purpose) -> bool:
    """Return whether anything of a purpose's records leaves in the form `metrics`."""
    return purpose.name in _RULES


def _as_json(content: str | None) -> str:
    """Return a content as JSON, byte for byte where it is."""
    if content is None:
        return "null"
    try:
        codec.load(content)
    except ValueError:
        return codec.dump_lossy(content)
    return content


def _fields(rules: Rules, content: Any, hashes: KeyedHashes) -> dict[str, Any]:
    """Return what rules give of an object; what is none has nothing."""
    if not isinstance(content, Mapping):
        return {}
    values = ((name, rule(content.get(name), hashes)) for name, rule in rules.items())
    return {name: value for name, value in values if value is not None}


def _number(value: Any, _hashes: KeyedHashes) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) < _LARGEST else None


def _flag(value: Any, _hashes: KeyedHashes) -> bool | None:
    return bool(value) if value in (0, 1) else None


def _time(value: Any, _hashes: KeyedHashes) -> str | None:
    instant = clock.from_column(value) if isinstance(value, str | float | int) else None
    return None if instant is None else clock.to_text(instant)


def _hash(kind: str) -> Rule:
    def rule(value: Any, hashes: KeyedHashes) -> str | None:
        is_id = isinstance(value, str) and value != ""
        return hashes.of(kind, value) if is_id else None

    return rule


def _word(words: Callable[[], frozenset[str]]) -> Rule:
    """Let words of a list leave as they are, and others as hashes."""

    def rule(value: Any, hashes: KeyedHashes) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        return value if value in words() else hashes.of("name", value)

    return rule


def _model(value: Any, hashes: KeyedHashes) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return known_words.model_name(value) or hashes.of("name", value)


def _part(rules: Rules) -> Rule:
    def rule(value: Any, hashes: KeyedHashes) -> dict[str, Any] | None:
        return _fields(rules, value, hashes) or None

    return rule


def _each(rules: Rules) -> Rule:
    def rule(value: Any, hashes: KeyedHashes) -> list[dict[str, Any]] | None:
        if not isinstance(value, list) or not value:
            return None
        return [_fields(rules, item, hashes) for item in value[:_MOST_ITEMS]]

    return rule


def _among(*words: str) -> Rule:
    return _word(partial(frozenset, words))


_SESSION: Final = _hash("session")
_AGENT: Final = _hash("agent")
_CALL: Final = _hash("call")
_TURN: Final = _hash("turn")
_NAME: Final = _hash("name")
_CLIENT: Final = _word(lambda: known_words.CLIENTS)
_TOOL_NAME: Final = _word(lambda: known_words.TOOL_NAMES)
_AGENT_TYPE: Final = _word(lambda: known_words.AGENT_TYPES)

_EVENT: Final[Rules] = {
    "event_type": _word(known_words.event_types),
    "tool": _CLIENT,
    "session_id": _SESSION,
    "tool_name": _TOOL_NAME,
    "tool_use_id": _CALL,
    "agent_id": _AGENT,
    "agent_type": _AGENT_TYPE,
    "turn_id": _TURN,
    "prompt_id": _TURN,
    "model": _model,
    "duration_ms": _number,
    "success": _flag,
    "metadata": _part(
        {
            "has_no_end_event": _flag,
            "exit_code": _number,
            "interrupted": _flag,
            "background": _flag,
            "spawned_agent_id": _AGENT,
            "spawned_agent_type": _AGENT_TYPE,
        }
    ),
}
_MESSAGE: Final[Rules] = {
    "tool": _CLIENT,
    "role": _word(lambda: known_words.ROLES),
    "kind": _word(lambda: known_words.MESSAGE_KINDS),
    "session_id": _SESSION,
    "message_id": _hash("message"),
    "request_id": _hash("request"),
    "turn_id": _TURN,
    "model": _model,
    "tokens": _part(dict.fromkeys((*TOKEN_CLASSES, "reasoning"), _number)),
    "web_searches": _number,
    "prompt_tokens": _number,
    "speed": _among("fast", "standard"),
    "geo": _among("us", "global"),
    "unreported_calls": _number,
    "unreported_failures": _number,
    "agent_id": _AGENT,
    "agent_type": _AGENT_TYPE,
    "parent_agent_id": _AGENT,
    "parent_is_session": _flag,
    "parent_tool_use_id": _CALL,
    "parent_session_id": _SESSION,
    "forked_from": _SESSION,
    "tool_calls": _each(
        {"tool_use_id": _CALL, "name": _TOOL_NAME, "ended_at": _time, "spawned_agent_id": _AGENT}
    ),
    "tool_results": _each(
        {
            "tool_use_id": _CALL,
            "is_error": _flag,
            "exit_code": _number,
            "spawned_agent_id": _AGENT,
        }
    ),
}
_PLAN: Final[Rules] = {
    "session_id": _SESSION,
    "agent_session_id": _SESSION,
    "complexity": _word(lambda: known_words.COMPLEXITIES),
    "agent_count": _number,
    "confidence": _number,
    "planning_cost": _number,
    "evaluations": _each({"response_time_ms": _number, "cost": _number}),
    # How many there are, and nothing of them.
    "phases": _each({}),
}
_RULES: Final[dict[str, Rules]] = {
    **{purpose.name: _EVENT for purpose in EVENT_FILES.values()},
    CONVERSATIONS.name: _MESSAGE,
    PLANNER_SESSIONS.name: _PLAN,
    OUTCOMES.name: {
        "session_id": _SESSION,
        "verdict": _among(*VERDICTS),
        "source": _among("person", "rule"),
    },
    FOCUS_CHAINS.name: {
        "session_id": _SESSION,
        "tool": _CLIENT,
        "agent_id": _AGENT,
        "position": _number,
        "items": _each({"status": _among(PENDING, IN_PROGRESS, COMPLETED)}),
    },
    ASSIGNMENTS.name: {
        "session_id": _SESSION,
        "experiment": _NAME,
        "variant": _NAME,
        "method": _among("random", "named"),
        "is_late": _flag,
    },
    APPLICATION_SESSIONS.name: {
        "session_id": _SESSION,
        "application": _NAME,
        "participant": _NAME,
        "scenario": _NAME,
        "group": _NAME,
        "status": _among("active", "completed"),
        "version": _number,
        "started_at": _time,
        "updated_at": _time,
        "completed_at": _time,
    },
}
