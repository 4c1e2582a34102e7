"""Content of a user's own types, declared fields, versions: what is saved comes back as it was."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import TypedDict

from khive_persist import open_store
from khive_persist.copies import rebuild, verify
from khive_persist.errors import InvalidRecordError
from khive_persist.models.as_document import document
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.store.autosave import Autosave
from khive_persist.store.store import Store
from tests.hypotheses import examples
from tests.store.records import opened


class Focus(Enum):
    UPPER = "upper"
    LOWER = "lower"


class Lift(BaseModel):
    weight: float
    reps: int = 5


class Training(BaseModel):
    session_id: str
    day: date
    focus: Focus = Focus.UPPER
    fee: Decimal = Decimal(0)
    log: Path | None = None
    at: datetime | None = None
    coach: UUID | None = None
    rest: timedelta = timedelta(0)
    lifts: list[Lift] = []
    by_name: dict[str, Lift] = {}
    planned_cost: float = Field(default=0, alias="plannedCost")
    extra: Any = None


class TrainingSession(Node):
    purpose: ClassVar[Purpose] = purpose("trainings", indexes=(("day", "fee"),))
    content: Training


class Log(TypedDict, total=False):
    at: datetime
    fee: Decimal
    lift: Lift


class LogRecord(Node):
    purpose: ClassVar[Purpose] = purpose("logs")
    content: Log


class Athlete(Node):
    purpose: ClassVar[Purpose] = purpose("athletes", indexes=(("athlete", "created_at"),))
    athlete: str
    phase: int = 0
    since: date | None = None
    nick: str = Field(default="", alias="Nick")


def of(record: type[Any], folder: Path) -> Store[Any]:
    return Store(record, lambda purpose: folder / purpose.file, busy_timeout_seconds=10)


def stored(folder: Path, purpose: Purpose) -> Any:
    """The content and the metadata of the only row."""
    with closing(sqlite3.connect(folder / purpose.file)) as connection:
        sql = f"SELECT content, node_metadata FROM {purpose.table}"
        ((content, metadata),) = connection.execute(sql).fetchall()
    return json.loads(content), json.loads(metadata)


@asynccontextmanager
async def old_row(
    record: type[Any], folder: Path, content: object, **metadata: object
) -> AsyncIterator[Store[Any]]:
    """A store of a class whose file has one row that another program wrote."""
    async with opened(of(record, folder)) as store:
        with closing(sqlite3.connect(folder / record.purpose.file)) as connection:
            connection.execute(
                f"INSERT INTO {record.purpose.table} (id, content, node_metadata, created_at)"
                " VALUES ('old', ?, ?, '2026-11-01 10:00:00.000000')",
                (json.dumps(content), json.dumps(metadata)),
            )
            connection.commit()
        yield store


# Of SQLite's and JSON's numbers, what a model can hold.
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
LIFTS = st.builds(Lift, weight=st.floats(allow_nan=False, allow_infinity=False), reps=st.integers())
TRAININGS = st.builds(
    Training,
    session_id=TEXTS,
    day=st.dates(),
    focus=st.sampled_from(Focus),
    fee=DECIMALS,
    log=st.none() | st.builds(Path, st.sampled_from(["/a/b", "x y", "é"])),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    coach=st.none() | st.uuids(),
    rest=st.timedeltas(timedelta(-99), timedelta(99)),
    lifts=st.lists(LIFTS, max_size=3),
    by_name=st.dictionaries(TEXTS, LIFTS, max_size=3),
    plannedCost=st.floats(allow_nan=False, allow_infinity=False),
)
IN_ONE_FOLDER = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
DAY = date(2026, 2, 16)


def training(**fields: Any) -> TrainingSession:
    return TrainingSession(content=Training(**({"session_id": "u1", "day": DAY} | fields)))


@settings(IN_ONE_FOLDER, max_examples=examples(80))
@given(TRAININGS)
@example(Training(session_id="", day=DAY, fee=Decimal("0.12345678901234567890123")))
@example(Training(session_id="", day=DAY, fee=Decimal("1E+30"), lifts=[Lift(weight=1, reps=2**99)]))
async def test_a_model_comes_back_as_it_was(folder: Path, content: Training) -> None:
    async with opened(of(TrainingSession, folder)) as store:
        saved = await store.save(TrainingSession(content=content))
        found = await store.get(saved.id)
    assert found.content == content
    assert type(found.content) is Training
    assert (found.id, found.created_at) == (saved.id, saved.created_at)
    assert set(found.node_metadata) == {"lion_class"}


async def test_typed_content_is_typed(project: Project) -> None:
    """mypy checks this file: the content of a found record is the model."""
    async with open_store(TrainingSession, dir=project.root) as store:
        saved = await training(lifts=[Lift(weight=80)]).save()
        found = await store.get(saved.id)
        reps: int = found.content.lifts[0].reps
        weights: list[float] = [lift.weight for lift in (await store.find())[0].content.lifts]
    assert (reps, weights) == (5, [80.0])


async def test_a_typed_dict_comes_back_with_its_types(folder: Path) -> None:
    content: Log = {"at": datetime(2026, 2, 3, tzinfo=UTC), "fee": Decimal("1.50"),
                    "lift": Lift(weight=2)}  # fmt: skip
    async with opened(of(LogRecord, folder)) as store:
        saved = await store.save(LogRecord(content=content))
        assert (await store.get(saved.id)).content == content
        assert await store.count(field("fee") > 1, field("lift.weight") == 2) == 1


async def test_sql_sees_a_decimal_as_a_number_and_a_field_by_its_alias(folder: Path) -> None:
    async with opened(of(TrainingSession, folder)) as store:
        await store.save(training(fee=Decimal("19.90"), plannedCost=2))
        assert await store.count(field("fee") > 19, field("fee") < 20) == 1
        assert await store.count(field("plannedCost") == 2) == 1
        assert await store.count(field("day") == "2026-02-16") == 1


async def test_a_model_inside_an_untyped_content_is_its_json(folder: Path) -> None:
    class Anything(Node):
        purpose: ClassVar[Purpose] = purpose("anything")

    content = {"lift": Lift(weight=1.5), "fee": Decimal("0.5"), "log": Path("/x"),
               "id": UUID(int=1), "focus": Focus.LOWER, "at": datetime(2026, 1, 2, tzinfo=UTC),
               "training": Training(session_id="s", day=DAY, fee=Decimal("0.5"))}  # fmt: skip
    async with opened(of(Anything, folder)) as store:
        found = await store.get((await store.save(Anything(content=content))).id)
        assert await store.count(field("training.fee") == 0.5) == 1
    assert found.content["lift"] == {"weight": 1.5, "reps": 5}
    assert (found.content["fee"], found.content["log"]) == (0.5, "/x")
    assert (found.content["id"], found.content["focus"]) == (str(UUID(int=1)), "lower")
    assert found.content["at"] == "2026-01-02T00:00:00+00:00"


CONTENTS = (
    st.none()
    | st.lists(st.integers(), max_size=2)
    | TEXTS
    | st.dictionaries(st.sampled_from(["k", "content", "id", "created_at"]), TEXTS)
)


@settings(IN_ONE_FOLDER, max_examples=examples(80))
@given(CONTENTS, TEXTS, st.none() | st.dates())
@example({"content": "x"}, "ada", None)
async def test_declared_fields_are_a_part_of_the_record(
    folder: Path, content: Any, name: str, since: date | None
) -> None:
    async with opened(of(Athlete, folder)) as store:
        saved = Athlete(athlete=name, phase=3, since=since, content=content, Nick="n")
        found = await store.get((await store.save(saved)).id)
    assert found == saved.model_copy(update={"node_metadata": found.node_metadata})
    assert document(found)["content"] == document(saved)["content"]


async def test_declared_fields_stand_beside_the_content_s_own(folder: Path) -> None:
    async with opened(of(Athlete, folder)) as store:
        saved = await store.save(Athlete(athlete="ada", phase=3, content={"k": 1}))
        assert await store.count(field("athlete") == "ada", field("phase") > 2) == 1
        content, _ = stored(folder, Athlete.purpose)
        assert content == {"athlete": "ada", "phase": 3, "since": None, "nick": "", "k": 1}
        saved.content["phase"] = 4
        with pytest.raises(InvalidRecordError, match="phase, and content has it too"):
            await store.save(saved)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"athlete": "ada", "phase": "x", "k": 1}, "phase"),
        ({"k": 1}, "athlete"),
        ("text", "athlete"),
        (None, "athlete"),
    ],
)
async def test_a_row_without_the_declared_fields_is_read_and_marked(
    folder: Path, content: Any, fault: str
) -> None:
    async with old_row(Athlete, folder, content) as store:
        (found,) = await store.find()
        assert fault in found.node_metadata["unreadable_content"]
        assert found.athlete in (None, "ada")
        with pytest.raises(InvalidRecordError, match=fault):
            await store.save(found)
        found.athlete, found.phase = "bob", 1
        await store.save(found)
        assert "unreadable_content" not in (await store.get("old")).node_metadata


async def test_rows_that_do_not_fit_the_model_are_listed_raw_and_marked(folder: Path) -> None:
    content = {"session_id": "s", "day": "yesterday", "kept": [1]}
    async with old_row(TrainingSession, folder, content, note="theirs") as store:
        await store.save(training())
        found = {one.id: one for one in await store.find()}
        old = found.pop("old")
        assert old.content == content
        assert old.node_metadata["note"] == "theirs"
        assert old.node_metadata["unreadable_content"].startswith("content.day: ")
        assert [type(one.content) for one in found.values()] == [Training]
        assert [one.id async for one in store.stream(field("kept[0]") == 1)] == ["old"]
        with pytest.raises(InvalidRecordError, match=r"content\.day"):
            await store.save(old)


class Strange(Node):
    purpose: ClassVar[Purpose] = purpose("strange")
    content: Training

    @field_validator("content", mode="before")
    @classmethod
    def looked_into(cls, content: Any) -> Any:
        return content if isinstance(content, Training) else {**content, "day": content["day"]}


async def test_whatever_a_validator_raises_a_listing_goes_on(folder: Path) -> None:
    async with old_row(Strange, folder, {"session_id": "s"}) as store:
        (found,) = await store.find()
    assert found.node_metadata["unreadable_content"] == "KeyError('day')"


async def test_a_change_deep_inside_a_model_is_validated_when_it_is_saved(folder: Path) -> None:
    async with opened(of(TrainingSession, folder)) as store:
        saved = await store.save(training(lifts=[Lift(weight=80)]))
        vars(saved.content.lifts[0])["weight"] = "heavy"
        with pytest.raises(InvalidRecordError) as raised:
            await store.save(saved)
        message = str(raised.value)
        assert "content.lifts[0].weight: " in message
        assert "'heavy'" in message
        assert "save again" in message
        vars(saved.content.lifts[0])["weight"] = "90"
        await store.save(saved)
        assert (await store.get(saved.id)).content.lifts[0].weight == 90.0
        assert await store.count(field("lifts[0].weight") == 90) == 1
        vars(saved.content.lifts[0])["weight"] = float("nan")
        with pytest.raises(InvalidRecordError, match=r"lifts\[0\]\.weight: NaN"):
            await store.save(saved)
        with pytest.raises(InvalidRecordError, match=r"extra\.mean: NaN"):
            # pydantic would write null.
            await store.save(training(extra={"mean": float("nan")}))


@pytest.mark.parametrize("value", [object(), b"\xff", "\ud800"])
async def test_what_has_no_json_is_refused_with_the_way_out(folder: Path, value: object) -> None:
    async with opened(of(TrainingSession, folder)) as store:
        with pytest.raises(InvalidRecordError, match="PlainSerializer"):
            await store.save(training(extra=value))
        assert await store.count() == 0


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", ser_json_bytes="base64",
                              val_json_bytes="base64", frozen=True)  # fmt: skip
    at: datetime
    id: UUID
    words: frozenset[str]
    pair: tuple[int, Decimal]
    raw: bytes


class StrictRecord(Node):
    model_config = ConfigDict(frozen=True)
    purpose: ClassVar[Purpose] = purpose("strict")
    content: Strict


async def test_a_strict_model_is_read_as_json(folder: Path) -> None:
    content = Strict(
        at=datetime(2026, 1, 2, tzinfo=UTC), id=UUID(int=7), words=frozenset("ab"),
        pair=(1, Decimal("0.25")), raw=b"\xff\x00",
    )  # fmt: skip
    async with opened(of(StrictRecord, folder)) as store:
        saved = await store.save(StrictRecord(content=content))
        assert (await store.get(saved.id)).content == content
        assert await store.count(field("pair[1]") == 0.25) == 1


class Versioned(Node):
    purpose: ClassVar[Purpose] = purpose("versioned")
    content_version: ClassVar[int] = 3
    content: Training

    @classmethod
    def upgrade(cls, content: dict[str, Any], version: int) -> dict[str, Any]:
        if version < 2:
            content["day"] = content.pop("date")
        if version < 3:
            content["session_id"] = f"{content['session_id']}!"
        return content


def test_an_odd_version_of_a_row_is_the_first() -> None:
    for odd in (0, -3, "2", None, True, [1]):
        found = Athlete.from_stored("x", {"athlete": "a"}, {"content_version": odd}, None, None)
        assert "unreadable_content" not in found.node_metadata


@pytest.mark.parametrize(
    ("metadata", "session_id"),
    [({}, "s!"), ({"content_version": 1}, "s!"), ({"content_version": 2}, "s!"),
     ({"content_version": 3}, "s")],
)  # fmt: skip
async def test_old_content_is_upgraded_when_it_is_read(
    folder: Path, metadata: dict[str, Any], session_id: str
) -> None:
    name = "date" if metadata.get("content_version", 1) == 1 else "day"
    content = {"session_id": "s", name: "2026-02-16"}
    async with old_row(Versioned, folder, content, **metadata) as store:
        (found,) = await store.find()
        assert (found.content.session_id, found.content.day) == (session_id, DAY)
        assert stored(folder, Versioned.purpose) == (content, metadata)
        await store.save(found)
        assert stored(folder, Versioned.purpose)[1]["content_version"] == 3
        assert (await store.get("old")).content == found.content


async def test_content_that_cannot_be_upgraded_is_read_and_marked(folder: Path) -> None:
    async with old_row(Versioned, folder, {"session_id": "s"}) as store:
        (found,) = await store.find()
        assert found.node_metadata["unreadable_content"] == "KeyError('date')"
        assert found.content == {"session_id": "s"}


async def test_newer_content_is_read_and_not_saved(folder: Path) -> None:
    content = {"session_id": "s", "day": "2026-02-16", "new": 1}
    async with old_row(Versioned, folder, content, content_version=4) as store:
        (found,) = await store.find()
        assert found.content.session_id == "s"
        assert found.node_metadata["content_version"] == 4
        with pytest.raises(InvalidRecordError, match="version 4, and this program knows 3"):
            await store.save(found)
    assert stored(folder, Versioned.purpose) == (content, {"content_version": 4})


def test_upgrade_may_do_without_the_version() -> None:
    class Short(Node):
        content_version: ClassVar[int] = 2

        @classmethod
        def upgrade(cls, content: Any) -> Any:
            return {"new": content["old"]}

    found = Short.from_stored("x", {"old": 1}, {}, "2026-11-01 10:00:00.000000", None)
    assert found.content == {"new": 1}
    assert found.node_metadata == {"content_version": 2}


def test_a_class_whose_records_could_not_be_kept_whole_is_not_made() -> None:
    with pytest.raises(InvalidRecordError, match="declares session_id, and its content has it"):

        class Twice(Node):
            session_id: str
            content: Training

    with pytest.raises(InvalidRecordError, match="declares plannedCost"):

        class TwiceByAlias(Node):
            plannedCost: float  # noqa: N815 - the alias of a field of the content
            content: Training

    with pytest.raises(InvalidRecordError, match="takes any field"):

        class Open(Node):
            model_config = ConfigDict(extra="allow")

    with pytest.raises(InvalidRecordError, match="no way to read version 1"):

        class NoUpgrade(Node):
            content_version: ClassVar[int] = 2

    with pytest.raises(InvalidRecordError, match="no number from 1"):

        class NoNumber(Node):
            content_version: ClassVar[int] = 0


def test_a_model_is_refused_where_its_content_is_wrong() -> None:
    with pytest.raises(ValidationError, match="day"):
        training(day="yesterday")


async def test_both_copies_hold_typed_records(project: Project) -> None:
    """The mirror, verify, rebuild and Autosave work on rows of any class."""
    async with open_store(TrainingSession, dir=project.root) as store:
        saved = training(fee=Decimal("0.12345678901234567890"), lifts=[Lift(weight=1, reps=2**70)])
        async with Autosave(store, every_seconds=1e9) as autosave:
            autosave.track(saved)
            saved.content.lifts.append(Lift(weight=2))
    async with open_store(Athlete, dir=project.root) as athletes:
        athlete = await Athlete(athlete="ada", content=["x"]).save()
    assert (await verify(dir=project.root)).is_equal
    for record in (TrainingSession, Athlete):
        project.database(record.purpose.file).unlink()
    await rebuild("mirror", dir=project.root)
    async with open_store(TrainingSession, dir=project.root) as store:
        assert (await store.get(saved.id)).content == saved.content
    async with open_store(Athlete, dir=project.root) as athletes:
        assert (await athletes.get(athlete.id)).athlete == "ada"
