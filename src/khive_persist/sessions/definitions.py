"""Definitions of the words that are said of a session, each once: as SQL and as Python.

The SQL is over the columns of a row, the Python of what is also asked of a content is over that;
a test holds the two equal. Both have one name, the SQL with `_sql` behind it, which is explained.
Whatever lists, sums, compares, reports or shows sessions takes its meanings from here.

Session: a text that is not empty. Records without one are in sums, in no session.
Tool: of an event, the client that its content names, else the one whose file has it. Of a session,
    that of its first event, else of its first message.
Call: counts once, when it ends: it is then in one hour, tool and agent, so that groups add up to
    the whole. Its end is the event after it, or the event before it where a transcript knew the
    end and no event came, or the message that has its result where no event tells of it at all. A
    call without an end is running, or was not recorded: `doctor` names it, no count has it.
Failure: a call whose end says that it failed or was refused. A turn that fails (`stop_failure`) is
    an event, and no tool call: it is no failure.
Tokens: whole numbers above 0, by class; reasoning is a part of the output. What is no such number
    counts as none.
Cost: of the messages that have a price, with the number of those that used something and have none
    beside it. Only where there are none of these is it a whole, which may be compared with a plan.
    Sums are of whole picodollars: whatever is added up in whatever order is the same.
Model: of a session, the one whose messages used most tokens; of equals, the one used last. Few
    events and no prompts name one: as a group, they count with that of their session. Tokens and
    costs count with the model that their message names, as that is what they are priced by. A
    project is counted in the same way.
Time: from the first event or message to the last, pauses included: so long a session lasted. A plan
    is made before the work begins, a verdict is given after it: only a session of nothing but plans
    has the time of these. An application says when its session starts and is completed: so long
    it took, whatever is recorded of it.
In progress: a session with an event in the last 12 hours that has not ended. It waits for a
    permission after it asked for one, until its next event; for the user once its turn is over;
    and seems stuck 10 minutes after the latest event of a turn, in a call or between two. Of one
    instant, a turn begins before its calls, and they before it ends.
Plan: belongs to the session that it names as its agent's, else to its own. The latest counts, of
    one instant the one with the larger id.
Confidence: of a plan, from 0 to 1. Another number is shown as it was saved; it is in no mean, no
    comparison and no calibration.
Verdict: of a person before that of a rule, then the latest, of one instant the one with the larger
    id. Where the session has none, that on its plan's own session counts, else that of the rule in
    config.toml, which judges the calls that are recorded by now.
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from khive_persist.models.event_types import POST, PRE
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.prices import (
    PICODOLLARS,
    PRICED,
    TOKEN_CLASSES,
    WEB_SEARCH,
    PriceTable,
    priced_field,
)
from khive_persist.store.source import Source
from khive_persist.tools.message_part import NO_MESSAGE

# Stands where a time cannot be read: before all others.
NO_TIME: Final = "1970-01-01 00:00:00.000000"
PLAN_TEXTS: Final = ("task_description", "complexity")
PLAN_NUMBERS: Final = ("agent_count", "confidence", "planning_cost")
PLAN_FIELDS: Final = (*PLAN_TEXTS, *PLAN_NUMBERS)
MODEL_ORDER: Final = "tokens DESC, last DESC, model DESC"

_RULE: Final = "rule"
_LARGEST_INTEGER: Final = 2**63
_PRE: Final = ", ".join(f"'{name}'" for name in PRE)
_POST: Final = ", ".join(f"'{name}'" for name in POST)

Unreported = Literal["calls", "failures"]


class Row(Protocol):
    """The columns of a row, as SQL."""

    @property
    def created_at(self) -> str:
        """The time as text that sorts."""

    def extract(self, path: str) -> str:
        """Return a field of the content."""


class ModelUse(NamedTuple):
    """The tokens that the messages of a model used, and the time when it was named last."""

    tokens: int
    last: str
    model: str


class Spent(NamedTuple):
    """The tokens and the cost of messages.

    Attributes:
        input: Tokens of the prompts that came from no cache.
        cache_read: Those that came from one.
        cache_write: Those that were put into one, for however long.
        output: Tokens of the answers, reasoning included.
        picodollars: The cost of the messages that have a price.
        priced: The number of these.
        unpriced: The number of messages that used something and have no price.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    picodollars: int = 0
    priced: int = 0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        """All classes together."""
        return self.input + self.cache_read + self.cache_write + self.output

    @property
    def cost(self) -> float | None:
        """In USD, of what has a price; None where nothing has."""
        return self.picodollars / PICODOLLARS if self.priced else None

    @property
    def whole_cost(self) -> float | None:
        """In USD; None also where a part has no price, so that no part is taken for the whole."""
        return None if self.unpriced else self.cost

    def plus(self, other: "Spent") -> "Spent":
        """Return the sum of both."""
        return Spent(*map(sum, zip(self, other, strict=True)))


def event_tables(source: Source) -> list[tuple[str, str]]:
    """Return the clients, each with the table of its events, which may be one without rows."""
    return [(client, source.only(purpose.name).sql) for client, purpose in EVENT_FILES.items()]


def session_sql(row: Row) -> str:
    """Return the session of a row; an empty text for none."""
    return text_sql(row, "session_id")


def has_session_sql(row: Row) -> str:
    """Tell whether a row has a session, as its index can answer: any number is below any text."""
    return f"{row.extract('$.session_id')} > ''"


def session_of(content: Mapping[str, Any]) -> str:
    """Return the session of a record; an empty text for none."""
    return _text(content, "session_id")


def text_sql(row: Row, name: str) -> str:
    """Return a field that is a text; an empty text for any other."""
    value = row.extract(f"$.{name}")
    return f"CASE typeof({value}) WHEN 'text' THEN {value} ELSE '' END"


def time_sql(row: Row) -> str:
    """Return the time of a row; `NO_TIME` where it cannot be read."""
    at = row.created_at
    return at if at == "created_at" else f"coalesce({at}, '{NO_TIME}')"


def tool_sql(row: Row, client: str) -> str:
    """Return the tool of an event in the file of a client."""
    return f"coalesce(nullif({text_sql(row, 'tool')}, ''), '{client}')"


def tool_of(content: Mapping[str, Any], client: str) -> str:
    return _text(content, "tool") or client


def is_call_end_sql(row: Row) -> str:
    """Tell whether an event is the end of a tool call."""
    kind = row.extract("$.event_type")
    return f"({kind} IN ({_POST}) OR ({kind} IN ({_PRE}) AND {stands_for_end_sql(row)}))"


def is_call_end(content: Mapping[str, Any]) -> bool:
    kind = content.get("event_type")
    return kind in POST or (kind in PRE and stands_for_end(content))


def stands_for_end_sql(row: Row) -> str:
    """Tell whether an event before a call says how it ended, as no event came after it."""
    return f"{row.extract('$.metadata.has_no_end_event')} IS 1"


def stands_for_end(content: Mapping[str, Any]) -> bool:
    metadata = content.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("has_no_end_event") == 1


def is_failed_call_sql(row: Row) -> str:
    """Tell whether an event is the end of a call that failed or was refused."""
    # An index has `success`: what has not failed is not read for the rest.
    return f"({row.extract('$.success')} = 0 AND {is_call_end_sql(row)})"


def is_failed_call(content: Mapping[str, Any]) -> bool:
    return content.get("success") == 0 and is_call_end(content)


def unreported_sql(row: Row, name: Unreported) -> str:
    """Count the calls, or failures, that end with a message and that no event tells of."""
    return _count_sql(row, f"unreported_{name}")


def unreported(content: Mapping[str, Any], name: Unreported) -> int:
    return _count(content.get(f"unreported_{name}"))


def is_message_sql(row: Row) -> str:
    """Tell whether a row of a transcript is a message, and no line of an unknown kind."""
    return f"{row.extract('$.role')} IS NOT '{NO_MESSAGE}'"


def is_message(content: Mapping[str, Any]) -> bool:
    return content.get("role") != NO_MESSAGE


def used_sql(row: Row, name: str) -> str:
    """Count what a message used of a class that has a price."""
    return _count_sql(row, priced_field(name))


def prompt_tokens_sql(row: Row) -> str:
    """Return the tokens of a message's longest prompt, on which its price depends."""
    every = " + ".join(used_sql(row, name) for name in TOKEN_CLASSES if name != "output")
    longest = row.extract("$.prompt_tokens")
    return f"CASE typeof({longest}) WHEN 'integer' THEN {longest} ELSE {every} END"


def used(content: Mapping[str, Any]) -> dict[str, int]:
    """Count what a message used of each class that has a price."""
    tokens = content.get("tokens")
    counts = dict(tokens) if isinstance(tokens, Mapping) else {}
    counts[WEB_SEARCH] = content.get("web_searches")
    return {name: _count(counts.get(name)) for name in PRICED}


def spent(content: Mapping[str, Any], at: datetime, prices: PriceTable) -> Spent:
    """Return what one message used and cost."""
    counts = used(content)
    prompt = content.get("prompt_tokens")
    if not isinstance(prompt, int) or abs(prompt) >= _LARGEST_INTEGER:
        prompt = sum(counts[name] for name in TOKEN_CLASSES if name != "output")
    model, speed, geo = (_text(content, name) for name in ("model", "speed", "geo"))
    return spent_by(model, counts, at, prices, prompt=prompt, speed=speed, geo=geo)


def spent_by(
    model: str,
    counts: Mapping[str, int],
    at: datetime,
    prices: PriceTable,
    *,
    prompt: int,
    speed: str = "",
    geo: str = "",
    messages: int = 1,
) -> Spent:
    """Return what messages that share a price used and cost.

    `prompt` is the tokens of the longest of their prompts, `at` the time of one of them.
    """
    result = Spent(
        counts["input"],
        counts["cache_read"],
        counts["cache_write"] + counts["cache_write_1h"],
        counts["output"],
    )
    if not any(counts.values()):
        return result
    cost = prices.picodollars(model or None, counts, at, prompt, speed, geo)
    if cost is None:
        return result._replace(unpriced=messages)
    return result._replace(picodollars=cost, priced=messages)


def main_model(uses: Iterable[ModelUse]) -> str | None:
    """Return the model of a session, by all that its events and messages name."""
    sums: dict[str, tuple[int, str]] = {}
    for use in uses:
        tokens, last = sums.get(use.model, (0, ""))
        sums[use.model] = (tokens + use.tokens, max(last, use.last))
    totals = [ModelUse(*sums[model], model) for model in sums if model]
    return max(totals).model if totals else None


def plan_session_sql(row: Row) -> str:
    """Return the session that carries out a plan; an empty text for none."""
    agent_session = text_sql(row, "agent_session_id")
    return f"coalesce(nullif({agent_session}, ''), {session_sql(row)})"


def plan_order_sql(row: Row) -> str:
    """Return the key of a plan that is largest in the one that counts."""
    return f"{time_sql(row)} || ' ' || id"


def plan_field_sql(row: Row, name: str) -> str:
    """Return a field of a plan; NULL where it is of another type, or an infinite number."""
    value = row.extract(f"$.{name}")
    if name not in PLAN_NUMBERS:
        return f"CASE WHEN typeof({value}) = 'text' THEN {value} END"
    # true and false are 1 and 0 to json_extract, which json_type tells apart.
    kind = value.replace("json_extract(", "json_type(", 1)
    finite = f"{value} BETWEEN -{sys.float_info.max} AND {sys.float_info.max}"
    return f"CASE WHEN {kind} IN ('integer', 'real') AND {finite} THEN {value} END"


def confidence_sql(row: Row) -> str:
    """Return the confidence of a plan; NULL where it is none."""
    number = plan_field_sql(row, "confidence")
    return f"CASE WHEN {number} BETWEEN 0 AND 1 THEN {number} END"


def is_confidence(number: float) -> bool:
    return 0 <= number <= 1


def is_verdict_sql(row: Row) -> str:
    """Tell whether a record says a verdict."""
    return f"typeof({row.extract('$.verdict')}) = 'text'"


def verdict_order_sql(row: Row) -> str:
    """Return the key of a verdict that is largest in the one that counts."""
    return f"({row.extract('$.source')} IS NOT '{_RULE}') || {time_sql(row)} || ' ' || id"


def ruled_sql(calls: str, failures: str, rate: str) -> str:
    """Return the verdict of the rule in config.toml; NULL where there is no rule, or no call."""
    judged = f"iif({failures} > {rate} * {calls}, 'failure', 'success')"
    return f"CASE WHEN {rate} IS NOT NULL AND {calls} > 0 THEN {judged} END"


def ruled(calls: int, failures: int, rate: float | None) -> str | None:
    """Return the verdict of the rule in config.toml; None where there is no rule, or no call.

    `rate` is the share of failures above which a session has failed.
    """
    if rate is None or not calls:
        return None
    return "failure" if failures > rate * calls else "success"


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _count_sql(row: Row, name: str) -> str:
    count = row.extract(f"$.{name}")
    return f"CASE typeof({count}) WHEN 'integer' THEN max({count}, 0) ELSE 0 END"


def _count(value: Any) -> int:
    # SQLite reads an integer that is larger as no integer.
    return int(value) if isinstance(value, int) and 0 < value < _LARGEST_INTEGER else 0
