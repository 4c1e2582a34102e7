"""The sums of some rows of a file, by session, hour, tool, project and model."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import (
    CONVERSATIONS,
    HOOK_EVENTS,
    OUTCOMES,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.prices import PRICED, TOKEN_CLASSES, PriceTable, priced_field
from khive_persist.sessions.call_ends import unreported
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

PURPOSES: Final = (*HOOK_EVENTS.values(), CONVERSATIONS, PLANNER_SESSIONS, OUTCOMES)
HOUR_CHARACTERS: Final = len("YYYY-MM-DD HH")
TITLE_CHARACTERS: Final = 160
# As ten to the power of 12 of them make a dollar, sums are of whole numbers: what is taken out
# again leaves exactly what was there before.
PICODOLLARS: Final = 1_000_000_000_000
_EPOCH: Final = "1970-01-01 00:00:00.000000"
_TOOL_OF: Final = {purpose: tool for tool, purpose in HOOK_EVENTS.items()}
PLAN_FIELDS: Final = (
    "task_description",
    "complexity",
    "agent_count",
    "confidence",
    "planning_cost",
)
_PLAN_NUMBERS: Final = ("agent_count", "confidence", "planning_cost")

# What tools say in the user's name: it is no prompt.
_TOLD: Final = (
    "<*_context>*", "<*_instructions>*", "<*_notification>*", "<command-*>*", "<local-command-*>*",
)  # fmt: skip


class Group(NamedTuple):
    """The sums of rows that have all of the first six in common; an empty text stands for none.

    Attributes:
        session: Their session's id.
        file: The name of their purpose.
        hour: When they were made: the first 13 characters of their time, in UTC.
        tool: The AI tool.
        project: The directory that the tool worked in.
        model: The model.
        rows: How many they are.
        first: The time of the first.
        last: The time of the last.
        others: How many of them are no messages, but lines of a kind that is not known.
        calls: Ends of tool calls that no event tells of, which are counted by messages.
        failures: Events that say that they failed, and calls that failed without an event.
        input: Tokens of prompts that came from no cache.
        cache_read: Tokens that came from one.
        cache_write: Tokens that were put into one.
        output: Tokens of answers.
        cost: Of those that have a price, in 10⁻¹² USD.
        priced: How many those are.
        unpriced: How many used tokens and have no price.
        prompt: Time and text of the first prompt; None without one.
        plan: Time of the latest plan, and a JSON array of its id and fields; None without one.
        verdict: Time and word of the latest verdict; None without one.
    """

    session: str
    file: str
    hour: str
    tool: str
    project: str
    model: str
    rows: int
    first: str
    last: str
    others: int = 0
    calls: int = 0
    failures: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cost: int = 0
    priced: int = 0
    unpriced: int = 0
    prompt: str | None = None
    plan: str | None = None
    verdict: str | None = None


class Span(NamedTuple):
    """Which rows: those of `after < rowid <= upto`, and of one session where it is given."""

    after: int
    upto: int
    session: str | None = None


async def read_groups(
    reader: Reader, purpose: Purpose, span: Span, prices: PriceTable
) -> list[Group]:
    """The sums of some rows. A group may come several times.

    Raises:
        StoreError: As its subclasses say.
    """
    where, values = "rowid > ? AND rowid <= ?", [span.after, span.upto]

    def build(source: Source) -> Statement:
        if span.session is None:
            return _statement(source, purpose, where, values, prices)
        # Spelled as the index is.
        own = f"{where} AND {source.extract('$.session_id')} = ?"
        return _statement(source, purpose, own, [*values, span.session], prices)

    return [_group(purpose, row, prices) for row in await reader.fetch(build)]


async def groups_within(
    reader: Reader, purpose: Purpose, since: str, until: str, prices: PriceTable
) -> AsyncGenerator[Group, None]:
    """The sums of the rows of a time, in order of their session, in flat memory.

    Args:
        reader: Of that file.
        purpose: Which.
        since: Text in UTC; rows of then or later.
        until: Rows of before.
        prices: What tokens cost.

    Raises:
        StoreError: As its subclasses say.
    """

    def build(source: Source) -> Statement:
        where = f"{source.created_at} >= ? AND {source.created_at} < ?"
        found = _statement(source, purpose, where, [since, until], prices)
        return found._replace(sql=f"SELECT * FROM ({found.sql}) ORDER BY 1")

    async with aclosing(reader.stream(build)) as rows:
        async for row in rows:
            yield _group(purpose, row, prices)


def signature(source: Source, purpose: Purpose) -> list[str]:
    """Expressions of all that is counted of a row, its session first."""
    columns = [_session(source), "id", _created_at(source), *_keys(source, purpose)]
    if purpose == CONVERSATIONS:
        columns += [_prompt(source, purpose), _other(source)]
        columns += [*_ways(source), _prompt_tokens(source)]
        columns += [unreported(source, "calls"), unreported(source, "failures")]
        columns += [_used(source, name) for name in PRICED]
    elif purpose == PLANNER_SESSIONS:
        columns.append(_plan(source))
    elif purpose == OUTCOMES:
        columns.append(source.extract("$.verdict"))
    else:
        columns += [_failed(source), _prompt(source, purpose)]
    return columns


def _statement(
    source: Source, purpose: Purpose, where: str, values: Sequence[Any], prices: PriceTable
) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return Statement("SELECT 0 LIMIT 0", [])
    at = _created_at(source)
    keys = [_session(source), f"substr({at}, 1, {HOUR_CHARACTERS})", *_keys(source, purpose)]
    columns = [f"{at} AS at"]
    sums = ["count(*)", "min(at)", "max(at)"]
    if purpose == CONVERSATIONS:
        # Prices differ with the length of a prompt and the speed; a class may have none.
        keys += [_band(source, prices), _classes(source), *_ways(source)]
        columns += [f"{_prompt(source, purpose)} AS prompt", f"{_prompt_tokens(source)} AS length"]
        columns += [f"{_used(source, name)} AS {name}" for name in PRICED]
        columns += [f"{unreported(source, name)} AS {name}" for name in ("calls", "failures")]
        columns.append(f"{_other(source)} AS other")
        sums += [
            "min(prompt)",
            "count(other)",
            "sum(calls)",
            "sum(failures)",
            "max(length)",
            *(f"sum({name})" for name in PRICED),
        ]
    elif purpose == PLANNER_SESSIONS:
        columns.append(f"{at} || {_plan(source)} AS plan")
        sums.append("max(plan)")
    elif purpose == OUTCOMES:
        columns.append(f"{at} || {source.extract('$.verdict')} AS verdict")
        sums.append("max(verdict)")
    else:
        columns += [f"{_failed(source)} AS failed", f"{_prompt(source, purpose)} AS prompt"]
        sums += ["count(failed)", "min(prompt)"]
    named = [f"{key} AS k{number}" for number, key in enumerate(keys)]
    # With a limit SQLite makes the columns first: it would sort the whole of content otherwise.
    inner = f"SELECT {', '.join([*named, *columns])} FROM {table} WHERE {where} LIMIT -1"
    names = ", ".join(f"k{number}" for number in range(len(keys)))
    sql = f"SELECT {names}, {', '.join(sums)} FROM ({inner}) GROUP BY {names}"
    return Statement(sql, list(values))


def _group(purpose: Purpose, row: Sequence[Any], prices: PriceTable) -> Group:
    session, hour, tool, project, model = row[:5]
    # Of messages, four more tell them apart that are no part of the group.
    rows, first, last, *own = row[9 if purpose == CONVERSATIONS else 5 :]
    made = Group(session, purpose.name, hour, tool, project, model, rows, first, last)
    if purpose == PLANNER_SESSIONS:
        return made._replace(plan=own[0])
    if purpose == OUTCOMES:
        return made._replace(verdict=own[0])
    if purpose != CONVERSATIONS:
        return made._replace(failures=own[0], prompt=own[1])
    prompt, others, calls, failures, length, *counts = own
    used = dict(zip(PRICED, counts, strict=True))
    made = made._replace(
        prompt=prompt,
        others=others,
        calls=calls,
        failures=failures,
        input=used["input"],
        cache_read=used["cache_read"],
        cache_write=used["cache_write"] + used["cache_write_1h"],
        output=used["output"],
    )
    if not any(counts):
        return made
    at = clock.from_column(first) or clock.unreadable()
    cost = prices.cost_of_all(model or None, used, at, length, *row[7:9])
    if cost is None:
        return made._replace(unpriced=rows)
    return made._replace(cost=round(cost * PICODOLLARS), priced=rows)


def _keys(source: Source, purpose: Purpose) -> list[str]:
    if purpose in _TOOL_OF:
        return [f"'{_TOOL_OF[purpose]}'", _text(source, "cwd"), _text(source, "model")]
    if purpose == CONVERSATIONS:
        return [_text(source, name) for name in ("tool", "cwd", "model")]
    return ["''", "''", "''"]


def _created_at(source: Source) -> str:
    at = source.created_at
    return at if at == "created_at" else f"coalesce({at}, '{_EPOCH}')"


def _session(source: Source) -> str:
    value = source.extract("$.session_id")
    return f"CASE typeof({value}) WHEN 'text' THEN {value} ELSE '' END"


def _text(source: Source, name: str) -> str:
    return f"coalesce(CAST({source.extract(f'$.{name}')} AS TEXT), '')"


def _other(source: Source) -> str:
    return f"CASE WHEN {source.extract('$.role')} = 'none' THEN 1 END"


def _failed(source: Source) -> str:
    return f"CASE WHEN {source.extract('$.success')} = 0 THEN 1 END"


def _prompt(source: Source, purpose: Purpose) -> str:
    """The time of a prompt and its text, so that the least of several is the first one."""
    if purpose == CONVERSATIONS:
        text = source.extract("$.text")
        kind = f"coalesce({source.extract('$.kind')}, 'message') = 'message'"
        told = " AND ".join(f"{text} NOT GLOB '{pattern}'" for pattern in _TOLD)
        is_prompt = f"{source.extract('$.role')} = 'user' AND {kind} AND {told}"
    else:
        text = source.extract("$.payload.prompt")
        is_prompt = f"{source.extract('$.event_type')} = 'prompt_submitted'"
    some = f"nullif(trim(substr({text}, 1, {TITLE_CHARACTERS})), '')"
    return f"CASE WHEN {is_prompt} THEN {_created_at(source)} || {some} END"


def _plan(source: Source) -> str:
    fields = [source.extract(f"$.{name}") for name in PLAN_FIELDS]
    for at, name in enumerate(PLAN_FIELDS):
        if name in _PLAN_NUMBERS:
            # An odd plan may have text there, or a number that no JSON holds.
            finite = f"{fields[at]} BETWEEN -{sys.float_info.max} AND {sys.float_info.max}"
            fields[at] = f"CASE WHEN {finite} THEN {fields[at]} END"
    return f"json_array(id, {', '.join(fields)})"


def _used(source: Source, name: str) -> str:
    count = source.extract(f"$.{priced_field(name)}")
    return f"CASE typeof({count}) WHEN 'integer' THEN max({count}, 0) ELSE 0 END"


def _prompt_tokens(source: Source) -> str:
    every = " + ".join(_used(source, name) for name in TOKEN_CLASSES if name != "output")
    longest = source.extract("$.prompt_tokens")
    return f"CASE typeof({longest}) WHEN 'integer' THEN {longest} ELSE {every} END"


def _ways(source: Source) -> list[str]:
    """How fast a request was sent, and where alone it may have been served."""
    fields = (source.extract(f"$.{name}") for name in ("speed", "geo"))
    return [f"CASE typeof({field}) WHEN 'text' THEN {field} ELSE '' END" for field in fields]


def _band(source: Source, prices: PriceTable) -> str:
    """Between which of the lengths at which a price changes a prompt is."""
    over = [f"({_prompt_tokens(source)} > {int(length)})" for length in prices.lengths()]
    return " + ".join(over) or "0 + 0"


def _classes(source: Source) -> str:
    """Which classes that have a price a message used: a bit for each."""
    bits = (f"({_used(source, name)} > 0) * {1 << number}" for number, name in enumerate(PRICED))
    return " + ".join(bits)
