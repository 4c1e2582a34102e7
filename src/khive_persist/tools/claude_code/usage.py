"""The usage that Claude Code's transcripts have of a message: tokens, searches, side requests."""

from collections.abc import Mapping
from typing import Any, Final

from khive_persist.prices import US
from khive_persist.tools.message_part import mapping_of, mappings_in, present

_TOKENS: Final = {
    "input": "input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
    "output": "output_tokens",
}
# The requests that a message's own numbers are the sum of.
_OWN: Final = "message"
_USUAL: Final = "standard"
COST_STATE: Final = "cost-state"
_MAX_NUMBER: Final = 1e15


def usage_fields(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a message's content that say what it used.

    `prompt_tokens` is there where the message is of several requests: a price may depend on how
    long the longest of their prompts is.
    """
    tools = mapping_of(usage.get("server_tool_use"))
    speed = usage.get("speed")
    prompts = [
        _prompt(iteration)
        for iteration in mappings_in(usage.get("iterations"))
        if iteration.get("type") == _OWN
    ]
    return present(
        tokens=_tokens(usage),
        web_searches=_count(tools.get("web_search_requests")) or None,
        speed=speed if isinstance(speed, str) and speed != _USUAL else None,
        geo=US if usage.get("inference_geo") == US else None,
        prompt_tokens=max(prompts) if len(prompts) > 1 else None,
    )


def side_requests(usage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the requests that a message made besides its own: an advisor's, a compaction.

    Their tokens are not among the message's, and their model may be another one.
    """
    return [
        iteration
        for iteration in mappings_in(usage.get("iterations"))
        if isinstance(iteration.get("type"), str)
        and iteration["type"] != _OWN
        and any(_tokens(iteration).values())
    ]


def reported_cost(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a line says that the session has cost; None where it says no number.

    It is the sum of all that the client spent, also before the session was resumed or forked:
    `started_ms` is when the first of those began, and tells them together.
    """
    cost = _number(document.get("totalCostUSD"))
    if cost is None:
        return None
    models = mapping_of(document.get("modelUsage"))
    costs = {name: _number(mapping_of(used).get("costUSD")) for name, used in models.items()}
    return {
        "cost": cost,
        "started_ms": _number(document.get("startTime")) or 0,
        "duration_ms": _number(document.get("totalDuration")) or 0,
        "is_guess": document.get("hasUnknownModelCost") is True,
        "models": {name: value for name, value in costs.items() if value is not None},
    }


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    tokens = {
        name: usage[field]
        for name, field in _TOKENS.items()
        if _count(usage.get(field)) is not None
    }
    longer = _count(mapping_of(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")) or 0
    if 0 < longer <= tokens.get("cache_write", 0):
        # An hour in the cache costs more than five minutes.
        tokens |= {"cache_write": tokens["cache_write"] - longer, "cache_write_1h": longer}
    return tokens


def _prompt(usage: Mapping[str, Any]) -> int:
    return sum(count for name, count in _tokens(usage).items() if name != "output")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < _MAX_NUMBER else None
