"""Each meaning is the same as SQL over a row and as Python over its content."""

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from khive_persist import clock
from khive_persist.prices import PRICED, PriceTable
from khive_persist.sessions import definitions as d
from khive_persist.sessions.definitions import ModelUse, Spent
from khive_persist.store.sqlite.source import SqliteSource
from tests.sessions.records import (
    EVENTS,
    MESSAGES,
    PLANS,
    VERDICTS,
    Record,
    plan_field,
    plan_session,
    verdict_order,
)

ROW = SqliteSource("", "created_at", {})
AT = datetime(2026, 11, 16, tzinfo=UTC)


def asked(content: dict[str, Any], *expressions: str) -> tuple[Any, ...]:
    """What SQL says of a row."""
    connection = sqlite3.connect(":memory:")
    row = (json.dumps(content), clock.to_text(AT), "i")
    names = "(SELECT ? AS content, ? AS created_at, ? AS id)"
    found: tuple[Any, ...] = connection.execute(
        f"SELECT {', '.join(expressions)} FROM {names}", row
    ).fetchone()
    connection.close()
    return found


@given(EVENTS)
def test_of_events(event: Record) -> None:
    content = event[2]
    session, tool, end, failed = asked(
        content,
        d.session_sql(ROW),
        d.tool_sql(ROW, "codex"),
        d.is_call_end_sql(ROW),
        d.is_failed_call_sql(ROW),
    )
    assert (session, tool) == (d.session_of(content), d.tool_of(content, "codex"))
    assert (bool(end), bool(failed)) == (d.is_call_end(content), d.is_failed_call(content))
    assert asked(content, d.has_session_sql(ROW)) in ([(None,), (0,)] if not session else [(1,)])


@given(MESSAGES)
def test_of_messages(message: Record) -> None:
    content = message[2]
    assert bool(asked(content, d.is_message_sql(ROW))[0]) is d.is_message(content)
    assert asked(content, d.unreported_sql(ROW, "calls"), d.unreported_sql(ROW, "failures")) == (
        d.unreported(content, "calls"),
        d.unreported(content, "failures"),
    )
    used = asked(content, *(d.used_sql(ROW, name) for name in PRICED))
    assert dict(zip(PRICED, used, strict=True)) == d.used(content)
    model, prompt = asked(content, d.text_sql(ROW, "model"), d.prompt_tokens_sql(ROW))
    prices = PriceTable(["priced input=3 output=15", "priced prompt_over=500 input=4 output=16"])
    by_columns = d.spent_by(model, d.used(content), AT, prices, prompt=prompt)
    assert by_columns == d.spent(content, AT, prices)


@given(PLANS)
def test_of_plans(plan: Record) -> None:
    content = plan[2]
    session, *fields = asked(
        content, d.plan_session_sql(ROW), *(d.plan_field_sql(ROW, name) for name in d.PLAN_FIELDS)
    )
    assert session == plan_session(content)
    (confidence,) = asked(content, d.confidence_sql(ROW))
    number = fields[d.PLAN_FIELDS.index("confidence")]
    assert confidence == (number if number is not None and d.is_confidence(number) else None)
    assert fields == [plan_field(content, name) for name in d.PLAN_FIELDS]


@given(VERDICTS, VERDICTS)
def test_of_verdicts(one: Record, other: Record) -> None:
    orders = [asked(content, d.verdict_order_sql(ROW)) for *_, content in (one, other)]
    as_python = [verdict_order(content, "", "") for *_, content in (one, other)]
    assert (orders[0] < orders[1]) == (as_python[0] < as_python[1])


@pytest.mark.parametrize(
    ("calls", "failures", "rate", "verdict"),
    [
        (0, 0, 0.5, None), (4, 2, 0.5, "success"), (4, 3, 0.5, "failure"), (4, 4, None, None),
        (1, 1, 0.0, "failure"), (1, 0, 0.0, "success"),
    ],
)  # fmt: skip
def test_the_rule_judges_calls_alone(
    calls: int, failures: int, rate: float | None, verdict: str | None
) -> None:
    assert d.ruled(calls, failures, rate) == verdict
    bound = "NULL" if rate is None else str(rate)
    assert asked({}, d.ruled_sql(str(calls), str(failures), bound)) == (verdict,)


def test_the_model_is_that_of_most_tokens_and_of_equals_the_last() -> None:
    assert (
        d.main_model([ModelUse(5, "1", "a"), ModelUse(4, "2", "b"), ModelUse(2, "0", "b")]) == "b"
    )
    assert d.main_model([ModelUse(5, "1", "a"), ModelUse(5, "2", "b")]) == "b"
    assert d.main_model([ModelUse(0, "3", "a"), ModelUse(9, "4", "")]) == "a"
    assert d.main_model([]) is None


def test_a_part_of_a_cost_is_not_taken_for_the_whole() -> None:
    spent = Spent(picodollars=5, priced=1)
    assert (spent.cost, spent.whole_cost) == (5e-12, 5e-12)
    partly = spent.plus(Spent(input=3, unpriced=1))
    assert (partly.cost, partly.whole_cost, partly.unpriced) == (5e-12, None, 1)


def test_a_price_is_whole_picodollars_a_token_so_that_order_does_not_matter() -> None:
    prices = PriceTable(["m input=0.1234567 output=0.3"])
    parts = [d.spent({"model": "m", "tokens": {"input": n}}, AT, prices) for n in range(1, 50)]
    whole = d.spent({"model": "m", "tokens": {"input": sum(range(1, 50))}}, AT, prices)
    assert sum(part.picodollars for part in parts) == whole.picodollars == 1225 * 123457
