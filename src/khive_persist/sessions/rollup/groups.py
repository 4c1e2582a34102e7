"""The sums of some rows of a file, by session, hour, tool, project and model."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
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
from khive_persist.sessions.titles import application_title_sql, prompt_sql
from khive_persist.store.reader import Reader
from khive_persist.store.source import NO_ROWS, Source, Statement, named

PURPOSES: Final = (
    *EVENT_FILES.values(), CONVERSATIONS, PLANNER_SESSIONS, OUTCOMES, APPLICATION_SESSIONS,
)  # fmt: skip
HOUR_CHARACTERS: Final = len("YYYY-MM-DD HH")
# It is below whatever an id goes on with: a shorter id stays the smaller one.
_TAB: Final = "char(9)"
_TOOL_OF: Final = {purpose: tool for tool, purpose in EVENT_FILES.items()}


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
        cost: The `picodollars` of a `Spent`, as which tokens and other counts are.
        prompt: Time and beginning of the first prompt, or title of an application's session; None
            without one.
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


class _Messages(NamedTuple):
    """The sums of messages that have their price in common, too; `length` is of a prompt."""

    session: str
    hour: str
    tool: str
    project: str
    model: str
    speed: str
    geo: str
    rows: int
    first: str
    last: str
    others: int
    calls: int
    failures: int
    prompt: str | None
    length: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    web_search: int


class Span(NamedTuple):
    """A range of rows: `above < rowid <= upto`, and of one session where it is given."""

    above: int
    upto: int
    session: str | None = None


async def read_groups(
    reader: Reader, purpose: Purpose, span: Span, prices: PriceTable
) -> list[Group]:
    """Return the sums of some rows. A group may come several times."""
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

    if purpose == CONVERSATIONS:
        return [_group(sums, prices) for sums in await reader.fetch_as(_Messages, build)]
    return await reader.fetch_as(Group, build)


async def groups_within(
    reader: Reader, purpose: Purpose, since: str, until: str, prices: PriceTable
) -> AsyncGenerator[Group, None]:
    """Yield the sums of the rows of a period, in order of their session, in flat memory."""

    def build(source: Source) -> Statement:
        condition = f"{source.created_at} >= ? AND {source.created_at} < ?"
        statement = _statement(source, purpose, condition, [since, until], prices)
        if statement is NO_ROWS:
            return statement
        return statement._replace(sql=f"SELECT * FROM ({statement.sql}) ORDER BY session")

    if purpose == CONVERSATIONS:
        async with aclosing(reader.stream_as(_Messages, build)) as messages:
            async for sums in messages:
                yield _group(sums, prices)
        return
    async with aclosing(reader.stream_as(Group, build)) as groups:
        async for group in groups:
            yield group


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
    elif purpose == APPLICATION_SESSIONS:
        columns.append(_application(source))
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
    tool, project, model = _keys(source, purpose)
    keys = {
        "session": _session(source, purpose),
        "hour": f"substr({at}, 1, {HOUR_CHARACTERS})",
        "tool": tool,
        "project": project,
        "model": model,
    }
    columns = {"at": at}
    sums = {"rows": "count(*)", "first": "min(at)", "last": "max(at)"}
    if purpose == CONVERSATIONS:
        # Prices differ with the length of a prompt and the speed; a class may have none.
        speed, geo = _ways(source)
        keys |= {"speed": speed, "geo": geo}
        columns |= {
            "band": _band(source, prices),
            "classes": _classes(source),
            "prompt": _prompt(source, purpose),
            "length": prompt_tokens_sql(source),
            "calls": unreported_sql(source, "calls"),
            "failures": unreported_sql(source, "failures"),
            "other": _other(source),
            **{name: used_sql(source, name) for name in PRICED},
        }
        sums |= {"prompt": "min(prompt)", "others": "count(other)", "length": "max(length)"}
        sums |= {name: f"sum({name})" for name in ("calls", "failures", *PRICED)}
        by = [*keys, "band", "classes"]
    else:
        by = [*keys]
        sums = {
            name: "NULL" if n is None else f"{n}" for name, n in Group._field_defaults.items()
        } | sums
        sums["file"] = f"'{purpose.name}'"
    if purpose == PLANNER_SESSIONS:
        columns["plan"], sums["plan"] = _plan(source), "max(plan)"
    elif purpose == OUTCOMES:
        columns["verdict"], sums["verdict"] = _verdict(source), "max(verdict)"
    elif purpose == APPLICATION_SESSIONS:
        columns["prompt"], sums["prompt"] = _application(source), "min(prompt)"
    elif purpose != CONVERSATIONS:
        columns |= {
            "call": f"CASE WHEN {is_call_end_sql(source)} THEN 1 END",
            "failed": f"CASE WHEN {is_failed_call_sql(source)} THEN 1 END",
            "prompt": _prompt(source, purpose),
        }
        sums |= {"calls": "count(call)", "failures": "count(failed)", "prompt": "min(prompt)"}
    # With a limit SQLite makes the columns first: it would sort the whole of content otherwise.
    inner = f"SELECT {named(keys | columns)} FROM {table} WHERE {condition} LIMIT -1"
    names = ", ".join(keys)
    sql = f"SELECT {names}, {named(sums)} FROM ({inner}) GROUP BY {', '.join(by)}"
    return Statement(sql, list(values))


def _group(sums: _Messages, prices: PriceTable) -> Group:
    spent = spent_by(
        sums.model,
        {name: getattr(sums, name) for name in PRICED},
        clock.from_column(sums.first) or clock.unreadable(),
        prices,
        prompt=sums.length,
        speed=sums.speed,
        geo=sums.geo,
        messages=sums.rows,
    )
    fields = sums._asdict() | spent._asdict()
    shared = {name: fields[name] for name in Group._fields if name in fields}
    return Group(file=CONVERSATIONS.name, cost=spent.picodollars, **shared)


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
    return f"{time_sql(source)} || {prompt_sql(source, is_message=purpose == CONVERSATIONS)}"


def _application(source: Source) -> str:
    return f"{time_sql(source)} || {application_title_sql(source)}"


def _plan(source: Source) -> str:
    fields = ", ".join(plan_field_sql(source, name) for name in PLAN_FIELDS)
    return f"{plan_order_sql(source)} || {_TAB} || json_array({session_sql(source)}, {fields})"


def _verdict(source: Source) -> str:
    verdict = f"{verdict_order_sql(source)} || {_TAB} || {source.extract('$.verdict')}"
    return f"CASE WHEN {is_verdict_sql(source)} THEN {verdict} END"


def _ways(source: Source) -> list[str]:
    """Select a request's speed, and the region where alone it may have been served."""
    return [text_sql(source, name) for name in ("speed", "geo")]


def _band(source: Source, prices: PriceTable) -> str:
    """Select the number of prompt lengths, of those at which a price changes, that are exceeded."""
    over = [f"({prompt_tokens_sql(source)} > {int(length)})" for length in prices.lengths()]
    return " + ".join(over) or "0 + 0"


def _classes(source: Source) -> str:
    """Select the classes with a price that a message used: a bit for each."""
    bits = (f"({used_sql(source, name)} > 0) * {1 << number}" for number, name in enumerate(PRICED))
    return " + ".join(bits)
