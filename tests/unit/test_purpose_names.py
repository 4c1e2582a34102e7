"""Which names a kind of record of a user's own may have."""

import pytest

from khive_persist.errors import InvalidRecordError
from khive_persist.models.purposes import BUILT_IN, Purpose, purpose


@pytest.mark.parametrize("known", BUILT_IN, ids=lambda known: known.name)
def test_names_of_built_in_purposes_are_refused_in_any_case(known: Purpose) -> None:
    for name in {known.name, known.table, known.view}:
        for spelled in (name, name.upper(), name.title()):
            with pytest.raises(InvalidRecordError, match=f"{spelled!r} is a name of khive-persist"):
                purpose(spelled)
            with pytest.raises(InvalidRecordError, match=f"{spelled!r} is a name of khive-persist"):
                purpose("notes", table=spelled)
            with pytest.raises(InvalidRecordError, match=f"{spelled!r} is a name of khive-persist"):
                purpose("notes", view=spelled)


@pytest.mark.parametrize(
    "name",
    [
        "change_log",
        "change_log_seen",
        "Change_Log",
        "sqlite_notes",
        "SQLITE_MASTER",
        "khive_notes",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "dbstat",
        "main",
        "TEMP",
    ],
)
def test_names_of_sqlite_and_of_the_change_log_are_refused(name: str) -> None:
    for kind, table, view in ((name, None, ""), ("a", name, ""), ("a", None, name)):
        with pytest.raises(InvalidRecordError, match=name):
            purpose(kind, table, view=view)


def test_an_index_that_would_be_named_as_a_table_of_ours_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="change_log"):
        purpose("change", indexes=(("log",),))
    with pytest.raises(InvalidRecordError, match="planner_sessions"):
        purpose("planner", indexes=(("sessions",),))
    assert purpose("pragma", indexes=(("a",),)).indexes == (("a",),)


@pytest.mark.parametrize(
    ("table", "view", "indexes"),
    [
        ("notes", "notes", ()),
        ("notes", "Notes", ()),
        ("notes", "notes_title", (("title",),)),
        ("notes", "", (("Title",), ("title",))),
        ("notes", "notes_odd_created_at", ()),
    ],
)
def test_two_things_of_one_name_are_refused(
    table: str, view: str, indexes: tuple[tuple[str, ...], ...]
) -> None:
    with pytest.raises(InvalidRecordError, match="two of its table, view and indexes"):
        purpose("jottings", table, view=view, indexes=indexes)


def test_a_document_that_differs_from_a_built_in_one_in_case_only_is_refused() -> None:
    assert purpose("notes", document="planner_session").document == "planner_session"
    with pytest.raises(InvalidRecordError, match="'Planner_Session' differs from"):
        purpose("notes", document="Planner_Session")


def test_an_index_over_nothing_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="no field"):
        purpose("notes", indexes=((),))


@pytest.mark.parametrize("name", ["order", "select", "index", "group", "id", "content", "Orders"])
def test_other_names_are_taken_words_of_sql_among_them(name: str) -> None:
    assert (purpose(name).name, purpose(name).table, purpose(name).file) == (
        name,
        name,
        f"{name}.db",
    )
