"""The sums of some rows of a file, by session, hour, tool, project and model."""

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
from khive_persist.prices import PRICED, PriceTable
from khive_persist.sessions.definitions import (
    PLAN_FIELDS,
    is_call_end_sql,
    is_failed_call_sql,
    is_message_sql,
    is_verdict_sql,
    plan_field_sql,
    plan_order_sql,
    plan_session_sql,
    prompt_tokens_sql,
    session_sql,
    spent_by,
    text_sql,
    time_sql,
    tool_sql,
    unreported_sql,
    used_sql,
    verdict_order_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import NO_ROWS, Source, Statement

PURPOSES: Final = (*HOOK_EVENTS.values(), CONVERSATIONS, PLANNER_SESSIONS, OUTCOMES)
HOUR_CHARACTERS: Final = len("YYYY-MM-DD HH")
TITLE_CHARACTERS: Final = 160
# It is below whatever an id goes on with: a shorter id stays the smaller one.
_TAB: Final = "char(9)"
_TOOL_OF: Final = {purpose: tool for tool, purpose in HOOK_EVENTS.items()}

# Texts that tools write in the user's name: they are no prompts.
_UNTYPED: Final = (
    "<*_context>*", "<*_instructions>*", "<*_notification>*", "<command-*>*", "<local-command-*>*",
)  # fmt: skip


class Group(NamedTuple):
    """The sums of rows that have all of the first six in common; an empty text stands for none.

    Attributes:
        session: Their session's id; of plans, that of the session which carries them out.
        file: The name of their purpose.
        hour: Their hour: the first 13 characters of their time, in UTC.
        tool: The AI tool.
        project: The directory that the tool worked in.
        model: The model.
        rows: Their number.
        first: The time of the first.
        last: The time of the last.
        others: The number of those that are no messages, but lines of an unknown kind.
        calls: Ends of tool calls.
        failures: Those of calls that failed.
        input: Tokens of prompts that came from no cache.
        cache_read: Tokens that came from one.
        cache_write: Tokens that were put into one.
        output: Tokens of answers.
        cost: The cost of those that have a price, in 10⁻¹² USD.
        priced: The number of those.
        unpriced: The number of rows that used tokens and have no price.
        prompt: Time and text of the first prompt; None without one.
        plan: The order of the plan that counts, and, after a tab, a JSON array of its own session
            and its fields; None without one.
        verdict: The order of the verdict that counts, and, after a tab, the verdict; None without
            one.
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
    """A range of rows: `above < rowid <= upto`, and of one session where it is given."""

    above: int
    upto: int
    session: str | None = None


async def read_groups(
    reader: Reader, purpose: Purpose, span: Span, prices: PriceTable
) -> list[Group]:
    """Return the sums of some rows. A group may come several times.

    Raises:
        StoreError: As its subclasses say.
    """
    condition, values = "rowid > ? AND rowid <= ?", [span.above, span.upto]

    def build(source: Source) -> Statement:
        if span.session is None:
            return _statement(source, purpose, condition, values, prices)
        # Spelled as the index is.
        session = source.extract("$.session_id")
        if purpose == PLANNER_SESSIONS:
            # No index has it: it is read when one of the latest plans has changed.
            session = plan_session_sql(source)
        of_session = f"{condition} AND {session} = ?"
        return _statement(source, purpose, of_session, [*values, span.session], prices)

    return [_group(purpose, row, prices) for row in await reader.fetch(build)]


async def groups_within(
    reader: Reader, purpose: Purpose, since: str, until: str, prices: PriceTable
) -> AsyncGenerator[Group, None]:
    """Yield the sums of the rows of a period, in order of their session, in flat memory.

    Args:
        reader: A reader of the purpose's file.
        purpose: The purpose of the rows.
        since: The time from which rows count: text in UTC.
        until: The time before which rows count.
        prices: The prices of tokens.

    Raises:
        StoreError: As its subclasses say.
    """

    def build(source: Source) -> Statement:
        condition = f"{source.created_at} >= ? AND {source.created_at} < ?"
        statement = _statement(source, purpose, condition, [since, until], prices)
        return statement._replace(sql=f"SELECT * FROM ({statement.sql}) ORDER BY 1")

    async with aclosing(reader.stream(build)) as rows:
        async for row in rows:
            yield _group(purpose, row, prices)


def signature(source: Source, purpose: Purpose) -> list[str]:
    """Return expressions of all that is counted of a row, its session first."""
    columns = [_session(source, purpose), "id", time_sql(source), *_keys(source, purpose)]
    if purpose == CONVERSATIONS:
        columns += [_prompt(source, purpose), _other(source)]
        columns += [*_ways(source), prompt_tokens_sql(source)]
        columns += [unreported_sql(source, "calls"), unreported_sql(source, "failures")]
        columns += [used_sql(source, name) for name in PRICED]
    elif purpose == PLANNER_SESSIONS:
        columns.append(_plan(source))
    elif purpose == OUTCOMES:
        columns.append(_verdict(source))
    else:
        columns += [is_call_end_sql(source), is_failed_call_sql(source), _prompt(source, purpose)]
    return columns


def _statement(
    source: Source, purpose: Purpose, condition: str, values: Sequence[Any], prices: PriceTable
) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return NO_ROWS
    at = time_sql(source)
    keys = [
        _session(source, purpose),
        f"substr({at}, 1, {HOUR_CHARACTERS})",
        *_keys(source, purpose),
    ]
    columns = [f"{at} AS at"]
    sums = ["count(*)", "min(at)", "max(at)"]
    if purpose == CONVERSATIONS:
        # Prices differ with the length of a prompt and the speed; a class may have none.
        keys += [_band(source, prices), _classes(source), *_ways(source)]
        columns += [
            f"{_prompt(source, purpose)} AS prompt",
            f"{prompt_tokens_sql(source)} AS length",
        ]
        columns += [f"{used_sql(source, name)} AS {name}" for name in PRICED]
        columns.append(f"{unreported_sql(source, 'calls')} AS calls")
        columns.append(f"{unreported_sql(source, 'failures')} AS failures")
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
        columns.append(f"{_plan(source)} AS plan")
        sums.append("max(plan)")
    elif purpose == OUTCOMES:
        columns.append(f"{_verdict(source)} AS verdict")
        sums.append("max(verdict)")
    else:
        columns.append(f"CASE WHEN {is_call_end_sql(source)} THEN 1 END AS call")
        columns.append(f"CASE WHEN {is_failed_call_sql(source)} THEN 1 END AS failed")
        columns.append(f"{_prompt(source, purpose)} AS prompt")
        sums += ["count(call)", "count(failed)", "min(prompt)"]
    key_columns = [f"{key} AS k{number}" for number, key in enumerate(keys)]
    # With a limit SQLite makes the columns first: it would sort the whole of content otherwise.
    inner = f"SELECT {', '.join([*key_columns, *columns])} FROM {table} WHERE {condition} LIMIT -1"
    names = ", ".join(f"k{number}" for number in range(len(keys)))
    sql = f"SELECT {names}, {', '.join(sums)} FROM ({inner}) GROUP BY {names}"
    return Statement(sql, list(values))


def _group(purpose: Purpose, row: Sequence[Any], prices: PriceTable) -> Group:
    session, hour, tool, project, model = row[:5]
    # Of messages, four more tell them apart that are no part of the group.
    rows, first, last, *sums = row[9 if purpose == CONVERSATIONS else 5 :]
    group = Group(session, purpose.name, hour, tool, project, model, rows, first, last)
    if purpose == PLANNER_SESSIONS:
        return group._replace(plan=sums[0])
    if purpose == OUTCOMES:
        return group._replace(verdict=sums[0])
    if purpose != CONVERSATIONS:
        return group._replace(calls=sums[0], failures=sums[1], prompt=sums[2])
    prompt, others, calls, failures, length, *counts = sums
    spent = spent_by(
        model,
        dict(zip(PRICED, counts, strict=True)),
        clock.from_column(first) or clock.unreadable(),
        prices,
        prompt=length,
        speed=row[7],
        geo=row[8],
        messages=rows,
    )
    return group._replace(
        prompt=prompt,
        others=others,
        calls=calls,
        failures=failures,
        input=spent.input,
        cache_read=spent.cache_read,
        cache_write=spent.cache_write,
        output=spent.output,
        cost=spent.picodollars,
        priced=spent.priced,
        unpriced=spent.unpriced,
    )


def _keys(source: Source, purpose: Purpose) -> list[str]:
    if purpose in _TOOL_OF:
        tool = tool_sql(source, _TOOL_OF[purpose])
        return [tool, text_sql(source, "cwd"), text_sql(source, "model")]
    if purpose == CONVERSATIONS:
        return [text_sql(source, name) for name in ("tool", "cwd", "model")]
    return ["''", "''", "''"]


def _session(source: Source, purpose: Purpose) -> str:
    return plan_session_sql(source) if purpose == PLANNER_SESSIONS else session_sql(source)


def _other(source: Source) -> str:
    return f"CASE WHEN NOT ({is_message_sql(source)}) THEN 1 END"


def _prompt(source: Source, purpose: Purpose) -> str:
    """Select the time of a prompt and its text, so that the least of several is the first one."""
    if purpose == CONVERSATIONS:
        text = source.extract("$.text")
        kind = f"coalesce({source.extract('$.kind')}, 'message') = 'message'"
        is_typed = " AND ".join(f"{text} NOT GLOB '{pattern}'" for pattern in _UNTYPED)
        is_prompt = f"{source.extract('$.role')} = 'user' AND {kind} AND {is_typed}"
    else:
        text = source.extract("$.payload.prompt")
        is_prompt = f"{source.extract('$.event_type')} = 'prompt_submitted'"
    beginning = f"nullif(trim(substr({text}, 1, {TITLE_CHARACTERS})), '')"
    return f"CASE WHEN {is_prompt} THEN {time_sql(source)} || {beginning} END"


def _plan(source: Source) -> str:
    fields = ", ".join(plan_field_sql(source, name) for name in PLAN_FIELDS)
    return f"{plan_order_sql(source)} || {_TAB} || json_array({session_sql(source)}, {fields})"


def _verdict(source: Source) -> str:
    verdict = f"{verdict_order_sql(source)} || {_TAB} || {source.extract('$.verdict')}"
    return f"CASE WHEN {is_verdict_sql(source)} THEN {verdict} END"


def _ways(source: Source) -> list[str]:
    """Select a request's speed, and the region where alone it may have been served."""
    fields = (source.extract(f"$.{name}") for name in ("speed", "geo"))
    return [f"CASE typeof({field}) WHEN 'text' THEN {field} ELSE '' END" for field in fields]


def _band(source: Source, prices: PriceTable) -> str:
    """Select the number of prompt lengths, of those at which a price changes, that are exceeded."""
    over = [f"({prompt_tokens_sql(source)} > {int(length)})" for length in prices.lengths()]
    return " + ".join(over) or "0 + 0"


def _classes(source: Source) -> str:
    """Select the classes with a price that a message used: a bit for each."""
    bits = (f"({used_sql(source, name)} > 0) * {1 << number}" for number, name in enumerate(PRICED))
    return " + ".join(bits)
