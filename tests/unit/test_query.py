"""Filters and orders: which can be written, and which are refused before anything is run."""

from datetime import UTC, datetime
from typing import Any

import pytest

from khive_persist.errors import InvalidQueryError
from khive_persist.models.query import Field, Filter, checked_count, column, field
from khive_persist.store.source import select
from khive_persist.store.sqlite.source import SqliteSource

TABLE = SqliteSource("notes", "created_at", {})


def where(*filters: Filter) -> tuple[str, list[Any]]:
    """The condition as SQL, and what is bound in it."""
    made = select(TABLE, filters)
    return made.sql.partition(" WHERE ")[2], made.values


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (field("confidence"), "$.confidence"),
        (field("metadata.planner.name"), "$.metadata.planner.name"),
        (field("phases[0].cost"), "$.phases[0].cost"),
        (field("phases[#-1]"), "$.phases[#-1]"),
        (field("grid[1][2]"), "$.grid[1][2]"),
        (field("metadata", "plain"), "$.metadata.plain"),
        (field("metadata", "odd key.with dots"), '$.metadata."odd key.with dots"'),
        (field("metadata", "it's"), '$.metadata."it\'s"'),
        (field("cost-usd"), '$."cost-usd"'),
        (field('metadata."a.b"[0].x'), '$.metadata."a.b"[0].x'),
        (field("$", "a.b"), '$."a.b"'),
        (field("$"), "$"),
        (field("1st"), '$."1st"'),
    ],
)
def test_a_path_is_spelled_as_sqlite_reads_it(made: Field, path: str) -> None:
    assert made.path == path


@pytest.mark.parametrize(
    "path", ["", "a.", ".a", "a..b", "a[", "a[x]", "a[\u0663]", "a b", "$.a", "a'b", 'a"b"', '"a',
             'a[0]b', '"a"b', "a\n"]
)  # fmt: skip
def test_a_path_of_another_form_is_refused(path: str) -> None:
    with pytest.raises(InvalidQueryError, match="any key"):
        field(path)


@pytest.mark.parametrize("escape", ["", "ab", 5, "\ud800"])
def test_an_escape_is_one_character(escape: Any) -> None:
    with pytest.raises(InvalidQueryError):
        field("a").like("x", escape=escape)


def test_a_field_is_spelled_as_the_indexes_spell_it() -> None:
    assert where(field("complexity") == "complex") == (
        "(json_extract(content, '$.complexity') = ?)",
        ["complex"],
    )


def test_a_quote_in_a_key_cannot_end_the_text() -> None:
    sql, values = where(field("metadata", "it's") == 1)
    assert sql == "(json_extract(content, '$.metadata.\"it''s\"') = ?)"
    assert values == [1]


EXTRACT = "json_extract(content, '$.a')"


@pytest.mark.parametrize(
    ("filter", "sql", "values"),
    [
        (field("a") == 1, f"{EXTRACT} = ?", [1]),
        (field("a") != 1, f"{EXTRACT} IS NOT ?", [1]),
        (field("a") < 1, f"{EXTRACT} < ?", [1]),
        (field("a") <= 1, f"{EXTRACT} <= ?", [1]),
        (field("a") > 1, f"{EXTRACT} > ? AND {EXTRACT} < ''", [1]),
        (field("a") >= 1, f"{EXTRACT} >= ? AND {EXTRACT} < ''", [1]),
        (field("a") < "x", f"{EXTRACT} < ? AND {EXTRACT} >= ''", ["x"]),
        (field("a") <= "x", f"{EXTRACT} <= ? AND {EXTRACT} >= ''", ["x"]),
        (field("a") > "x", f"{EXTRACT} > ?", ["x"]),
        (field("a").like("x%"), f"{EXTRACT} LIKE ?", ["x%"]),
        (field("a").like("x#%", escape="#"), f"{EXTRACT} LIKE ? ESCAPE ?", ["x#%", "#"]),
        (field("a") == None, f"{EXTRACT} IS NULL", []),  # noqa: E711 - makes a filter
        (field("a") != None, f"{EXTRACT} IS NOT NULL", []),  # noqa: E711 - makes a filter
        (field("a").is_null(), f"{EXTRACT} IS NULL", []),
        (field("a").in_([1, "b"]), f"{EXTRACT} IN (?, ?)", [1, "b"]),
        (field("a").in_([]), f"{EXTRACT} IN ()", []),
        (field("a").in_([1, None]), f"{EXTRACT} IN (?) OR {EXTRACT} IS NULL", [1]),
        (field("a") == True, f"{EXTRACT} = ?", [1]),  # noqa: E712 - makes a filter
        (~(field("a") == 1), f"({EXTRACT} = ?) IS NOT TRUE", [1]),
        (
            (field("a") == 1) & ((field("a") == 2) | (field("a") == 3)),
            f"({EXTRACT} = ?) AND (({EXTRACT} = ?) OR ({EXTRACT} = ?))",
            [1, 2, 3],
        ),
        (column("id") == "x", "id = ?", ["x"]),
        (
            column("created_at") >= datetime(2026, 11, 1, 12, tzinfo=UTC),
            "created_at >= ?",
            ["2026-11-01 12:00:00.000000"],
        ),
    ],
)
def test_a_filter_is_one_condition_with_its_values_bound(
    filter: Filter, sql: str, values: list[Any]
) -> None:
    assert where(filter) == (f"({sql})", values)


def test_without_a_filter_every_record_passes() -> None:
    assert where() == ("1", [])


def test_an_order_names_its_fields_in_turn() -> None:
    made = select(TABLE, (), [field("a"), -column("created_at"), +column("id")], 5, 2)
    assert made.sql.endswith(f"ORDER BY {EXTRACT}, created_at DESC, id LIMIT ? OFFSET ?")
    assert made.values == [5, 2]
    assert select(TABLE, order_by=-field("a")).sql.endswith(f"ORDER BY {EXTRACT} DESC")


@pytest.mark.parametrize("value", [float("nan"), 2**63, -(2**63) - 1, [1], {}, b"x", "\ud800"])
def test_a_value_that_json_or_64_bits_cannot_hold_is_refused(value: Any) -> None:
    for make in (
        lambda: field("a") == value,
        lambda: field("a") != value,
        lambda: field("a") < value,
        lambda: field("a").in_([value]),
        lambda: field("a").contains(value),
        lambda: field("a").like(value),
    ):
        with pytest.raises(InvalidQueryError):
            make()


def test_nothing_is_smaller_or_larger_than_nothing() -> None:
    nothing: Any = None
    with pytest.raises(InvalidQueryError, match="use is_null"):
        field("a") < nothing  # noqa: B015 - refused is what it is
    with pytest.raises(InvalidQueryError, match="use is_null"):
        field("a") >= nothing  # noqa: B015 - refused is what it is


def test_a_filter_has_no_truth_value() -> None:
    """`and`, `or` and `not` would throw a condition away in silence."""
    with pytest.raises(InvalidQueryError, match="instead of and, or, not"):
        bool(field("a") == 1)
    with pytest.raises(InvalidQueryError):
        (field("a") == 1) and (field("b") == 2)
    with pytest.raises(InvalidQueryError):
        1 < field("a") < 2  # noqa: B015 - refused is what it is


def test_what_is_no_filter_is_refused() -> None:
    wrong: Any = "a = 1"
    with pytest.raises(InvalidQueryError):
        (field("a") == 1) & wrong
    with pytest.raises(InvalidQueryError):
        (field("a") == 1) | wrong
    with pytest.raises(InvalidQueryError, match="is no filter"):
        where(wrong)


def test_a_column_is_no_array_and_a_field_no_datetime() -> None:
    with pytest.raises(InvalidQueryError, match="is no array"):
        column("id").contains("x")
    with pytest.raises(InvalidQueryError, match="use its text"):
        where(field("a") == datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidQueryError, match="compared with a datetime"):
        where(column("created_at") > 5)


@pytest.mark.parametrize("value", [0, 1, 2**63 - 1])
def test_a_count_is_a_whole_number_from_zero(value: int) -> None:
    assert checked_count("limit", value) == value
    assert checked_count("limit", None) is None


@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1"])
def test_a_count_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(InvalidQueryError, match="limit is a whole number from 0"):
        checked_count("limit", value)
