"""Text from anywhere in every project that it can reach: an error, or plain data; never SQL."""

from collections.abc import AsyncIterator
from functools import reduce
from operator import and_
from typing import Any

import pytest

from khive_persist.errors import InvalidQueryError, InvalidRecordError, KhiveError, NotFoundError
from khive_persist.models.purposes import purpose
from khive_persist.models.query import column, field
from khive_persist.store.planner_sessions import PlannerSessionStore
from tests.factories import plan

CYRILLIC_A = "\u0430"
RIGHT_TO_LEFT = "\u202e"
HOSTILE = [
    "'",
    '"',
    "' OR '1'='1",
    "x'); DROP TABLE planner_sessions; --",
    '"; DELETE FROM planner_sessions; --',
    "1 /* comment",
    "a -- comment",
    "a;b",
    "a\\b",
    "a b",
    " a",
    "a\n",
    "$.a",
    "a..b",
    ".a",
    "a.",
    "a[",
    "a[-1]",
    "a[0",
    "a[x]",
    "[0]",
    "*",
    "",
    "a\0b",
    "é",
    CYRILLIC_A,
    f"{RIGHT_TO_LEFT}a",
    "𝒳",
    "\ud800",
    "a" * 100_000 + "'",
]
# What SQLite's JSON functions and text can hold: https://sqlite.org/json1.html
PLAIN = [text for text in HOSTILE if "\0" not in text and "\ud800" not in text]


@pytest.fixture
async def stored(plans: PlannerSessionStore) -> AsyncIterator[PlannerSessionStore]:
    """A store with two plans that nothing here may touch."""
    await plans.save_many([plan("kept"), plan("kept")])
    yield plans
    assert len(await plans.get_by_session_id("kept")) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_a_path_of_another_form_is_refused(text: str) -> None:
    if not text.isalnum():
        with pytest.raises(InvalidQueryError):
            field(text)
        with pytest.raises(InvalidQueryError):
            field(f"metadata.{text}")
    with pytest.raises(InvalidQueryError):
        column(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_of_another_form_names_no_file_table_view_field_or_index(text: str) -> None:
    with pytest.raises(InvalidRecordError):
        purpose(text)
    with pytest.raises(InvalidRecordError):
        purpose("notes", f"{text}-")
    with pytest.raises(InvalidRecordError):
        purpose("notes", view=f"{text}-")
    with pytest.raises(InvalidRecordError):
        purpose("notes", fields=(text,))
    with pytest.raises(InvalidRecordError):
        purpose("notes", indexes=((text,),))


async def test_a_key_is_a_key_or_is_refused(stored: PlannerSessionStore) -> None:
    await stored.save(plan(metadata={"other": {"deep": 7}}))
    for text in HOSTILE:
        if set(text) & set("\0\ud800"):
            with pytest.raises(InvalidQueryError):
                field("metadata", text)
            continue
        saved = await stored.save(plan(metadata={text: {"deep": 7}}))
        wanted = field("metadata", text, "deep")
        assert [one.id for one in await stored.find(wanted == 7)] == [saved.id]
        assert (await stored.find(order_by=-wanted, limit=1))[0].id == saved.id


async def test_a_value_is_a_value(stored: PlannerSessionStore) -> None:
    for text in PLAIN:
        assert await stored.count(field("session_id") == text) == 0
        saved = await stored.save(plan(text, metadata={"tags": ["x", text]}))
        for condition in (
            field("session_id") == text,
            field("session_id").in_([text, "absent"]),
            field("metadata.tags").contains(text),
            ~(field("session_id") != text),
            (field("session_id") >= text) & (field("session_id") <= text),
        ):
            assert [one.id for one in await stored.find(condition)] == [saved.id]
        assert await stored.count(field("complexity") == text) == 0


async def test_a_value_that_sqlite_cannot_hold_is_refused(stored: PlannerSessionStore) -> None:
    for value in ("\ud800", 2**63, -(2**63) - 1, float("nan"), object(), [1], b"x"):
        with pytest.raises(InvalidQueryError):
            await stored.count(field("session_id") == value)  # type: ignore[arg-type]
    assert await stored.count(field("session_id") == "a\0b") == 0


async def test_an_id_is_an_id(stored: PlannerSessionStore) -> None:
    for text in PLAIN:
        with pytest.raises(NotFoundError):
            await stored.get(text)
        assert await stored.delete(text) is False
        if not 0 < len(text) <= 200:
            continue
        one = plan()
        one.id = text
        await stored.save(one)
        assert (await stored.get(text)).id == text
        assert [found.id for found in await stored.find(column("id").in_([text]))] == [text]
        assert await stored.delete(text) is True


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "", "a" * 201])
async def test_an_id_that_sqlite_cannot_hold_is_refused(
    text: str, stored: PlannerSessionStore
) -> None:
    one = plan()
    with pytest.raises(ValueError, match="id\n"):
        one.id = text
    with pytest.raises(KhiveError):
        await stored.get(text)


async def test_an_order_a_filter_and_a_number_are_not_text(stored: PlannerSessionStore) -> None:
    for text in HOSTILE:
        wrong: Any = text
        with pytest.raises(InvalidQueryError):
            await stored.find(order_by=[wrong])
        with pytest.raises(InvalidQueryError):
            await stored.find(wrong)
        with pytest.raises(InvalidQueryError):
            await stored.find((field("session_id") == "kept") & wrong)
        with pytest.raises(InvalidQueryError):
            await stored.find(limit=wrong)
        with pytest.raises(InvalidQueryError):
            await stored.find(offset=wrong)
        with pytest.raises(InvalidQueryError):
            await stored.get_recent(wrong)
        with pytest.raises(InvalidQueryError):
            await stored.count(column("created_at") > wrong)


@pytest.mark.parametrize("number", [-1, True, 1.5, 2**63, "1; DROP TABLE planner_sessions"])
async def test_a_page_is_whole_numbers_from_zero(number: Any, stored: PlannerSessionStore) -> None:
    with pytest.raises(InvalidQueryError, match="limit is a whole number from 0"):
        await stored.find(limit=number)
    with pytest.raises(InvalidQueryError, match="offset is a whole number from 0"):
        await stored.find(offset=number)
    with pytest.raises(InvalidQueryError):
        [one async for one in stored.stream(limit=number)]


async def test_many_values_are_looked_for_at_once(stored: PlannerSessionStore) -> None:
    await stored.save_many(plan(f"s{number}") for number in range(0, 3_000, 1_000))
    wanted = field("session_id").in_([f"s{number}" for number in range(20_000)])
    assert await stored.count(wanted) == 3
    assert await stored.count(~wanted) == 2


async def test_what_is_too_large_to_ask_is_refused(stored: PlannerSessionStore) -> None:
    kept = field("session_id") == "kept"
    with pytest.raises(InvalidQueryError):
        await stored.count(reduce(and_, [kept] * 5_000))
    nested = kept
    for _ in range(5_000):
        nested = ~nested
    with pytest.raises(InvalidQueryError):
        await stored.count(nested)
    with pytest.raises(InvalidQueryError):
        await stored.count(field("session_id").like("%a" * 50_000))
