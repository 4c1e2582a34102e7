"""What is saved is there: any JSON, any order of verbs, any cancellation."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.models.query import column, field
from khive_persist.store import codec
from khive_persist.store.store import Store
from tests.hypotheses import examples
from tests.store.records import opened

TEXTS = st.text(st.characters(codec="utf-8"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    SCALARS,
    lambda parts: st.lists(parts, max_size=5) | st.dictionaries(TEXTS, parts, max_size=5),
    max_leaves=30,
)
# A bare number is the one JSON that a record's content cannot be.
CONTENT = JSON.filter(lambda value: isinstance(value, bool) or not isinstance(value, int | float))
SURROGATES = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
NOT_JSON: st.SearchStrategy[tuple[Any, str]] = (
    st.sampled_from([float("nan"), float("inf"), float("-inf")]).map(lambda v: (v, "NaN"))
    | SURROGATES.map(lambda v: (v, "surrogate"))
    | st.sampled_from([object(), {1}, b"x", 1j]).map(lambda v: (v, "is not JSON"))
    | st.integers(995, 3_000).map(lambda levels: (nested(levels), "more than 250 levels"))
)


class Note(Node):
    """A record of any content."""

    purpose: ClassVar[Purpose] = purpose("notes", indexes=(("title",), ("created_at",)))


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down: 1 is not 1.0, nor True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def note_store(folder: Path) -> Store[Note]:
    return Store(Note, lambda what: folder / what.file, busy_timeout_seconds=10)


IN_ONE_FOLDER = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@settings(IN_ONE_FOLDER, max_examples=examples(150))
@given(
    st.lists(st.tuples(CONTENT, st.dictionaries(TEXTS, JSON, max_size=3)), min_size=1, max_size=5)
)
@example([(nested(250), {}), ("\0", {"": None}), ({"": {"\0": -0.0}}, {"null": "null"})])
async def test_any_json_comes_back_as_it_was(
    folder: Path, drawn: list[tuple[Any, dict[str, Any]]]
) -> None:
    async with opened(note_store(folder)) as store:
        for content, metadata in drawn:
            saved = await store.save(Note(content=content, node_metadata=metadata))
            found = await store.get(saved.id)
            assert same(found.content, content)
            assert same({"lion_class": found.lion_class()} | metadata, found.node_metadata)
            assert found.created_at == saved.created_at


@settings(IN_ONE_FOLDER, max_examples=examples(60))
@given(NOT_JSON, st.sampled_from(["content", "key", "node_metadata", "deep"]))
async def test_what_is_no_json_is_refused_and_the_reason_is_said(
    folder: Path, bad: tuple[Any, str], where: str
) -> None:
    value, reason = bad
    async with opened(note_store(folder)) as store:
        made = {
            "content": lambda: Note(content=[value]),
            "key": lambda: Note(content={value: 1} if isinstance(value, str) else {"x": value}),
            "node_metadata": lambda: Note(node_metadata={"x": value}),
            "deep": lambda: Note(content={"a": [None, {"b": value}]}),
        }[where]()
        before = await store.count()
        with pytest.raises(InvalidRecordError, match=reason):
            await store.save(made)
        with pytest.raises(InvalidRecordError, match=reason):
            await store.save_many([Note(), made])
        assert await store.count() == before


@pytest.mark.parametrize("number", [5.0, 0, 2**64 - 1, float("nan")])
async def test_a_bare_number_which_the_column_would_change_is_refused(
    number: float, folder: Path
) -> None:
    async with opened(note_store(folder)) as store:
        with pytest.raises(InvalidRecordError, match="bare number: put it in an object"):
            await store.save(Note(content=number))
        saved = await store.save(Note(content=True))
        assert (await store.get(saved.id)).content is True


@pytest.mark.parametrize("key", [float("nan"), 1, None, (1, 2)])
async def test_a_key_that_is_no_text_is_refused(key: object, folder: Path) -> None:
    """Two keys could become one: 1 and "1"."""
    async with opened(note_store(folder)) as store:
        with pytest.raises(InvalidRecordError, match=r"the key .* is not text"):
            await store.save(Note(content={key: 1}))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
async def test_an_embedding_that_is_not_finite_is_refused(bad: float, folder: Path) -> None:
    async with opened(note_store(folder)) as store:
        with pytest.raises(InvalidRecordError, match="NaN"):
            await store.save(Note(embedding=[1.0, bad]))


@given(JSON)
def test_json_text_is_read_as_it_was_written(value: Any) -> None:
    assert same(codec.load(codec.dump(value)), value)


@given(st.text() | st.binary())
def test_a_column_of_any_text_is_read(text: str | bytes) -> None:
    found = codec.column(text)
    assert same(found, text) or same(found, codec.load(text))


@given(st.integers(0, 1_500), st.sampled_from(["[]", '{"a":}']))
def test_depth_is_right_where_it_matters(levels: int, brackets: str) -> None:
    opening, closing = brackets[:-1], brackets[-1]
    text = f"{opening * levels}0{closing * levels}"
    assert (codec.depth(text) > codec.MAX_DEPTH) == (levels > codec.MAX_DEPTH)
    quoted = '["' + opening.replace('"', '\\"') * levels + '"]'
    assert codec.depth(quoted) <= codec.MAX_DEPTH


IDS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
CONTENTS = st.fixed_dictionaries({"title": st.sampled_from(["x", "y"]), "any": JSON})


class AgainstADict(RuleBasedStateMachine):
    """Whatever is done to a store, it holds what a plain dict would."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="khive-dict-"))
        self.runner = asyncio.Runner()
        self.wanted: dict[str, Any] = {}
        self.created: dict[str, Any] = {}
        self.open()

    def open(self) -> None:
        self.store = note_store(self.folder)
        self.runner.run(self.store.open())

    def saved(self, notes: list[Note]) -> None:
        for one in notes:
            self.wanted[one.id] = one.content
            self.created.setdefault(one.id, one.created_at)

    @rule(id=IDS, content=CONTENTS)
    def save(self, id: str, content: Any) -> None:
        note = Note(id=id, content=content)
        self.runner.run(self.store.save(note))
        self.saved([note])

    @rule(drawn=st.lists(st.tuples(IDS, CONTENTS), max_size=6))
    def save_many(self, drawn: list[tuple[str, Any]]) -> None:
        notes = [Note(id=id, content=content) for id, content in drawn]
        assert self.runner.run(self.store.save_many(notes)) == len(notes)
        self.saved(notes)

    @rule(drawn=st.lists(st.tuples(IDS, CONTENTS), max_size=3))
    def save_many_with_a_bad_one(self, drawn: list[tuple[str, Any]]) -> None:
        notes = [Note(id=id, content=content) for id, content in drawn]
        with pytest.raises(InvalidRecordError):
            self.runner.run(self.store.save_many([*notes, Note(content=float("nan"))]))

    @rule(drawn=st.lists(st.tuples(IDS, CONTENTS), max_size=6, unique_by=lambda pair: pair[0]))
    def save_at_once(self, drawn: list[tuple[str, Any]]) -> None:
        notes = [Note(id=id, content=content) for id, content in drawn]

        async def save() -> None:
            await asyncio.gather(*(self.store.save(one) for one in notes))

        self.runner.run(save())
        self.saved(notes)

    @rule(id=IDS)
    def delete(self, id: str) -> None:
        was_there = self.wanted.pop(id, None) is not None
        self.created.pop(id, None)
        assert self.runner.run(self.store.delete(id)) == was_there

    @rule(id=IDS)
    def get(self, id: str) -> None:
        if id in self.wanted:
            found = self.runner.run(self.store.get(id))
            assert same(found.content, self.wanted[id])
            assert found.created_at == self.created[id]
        else:
            with pytest.raises(NotFoundError):
                self.runner.run(self.store.get(id))

    @rule(title=st.sampled_from(["x", "y"]))
    def find(self, title: str) -> None:
        wanted = {id for id, content in self.wanted.items() if content["title"] == title}
        condition = field("title") == title
        assert {one.id for one in self.runner.run(self.store.find(condition))} == wanted
        assert self.runner.run(self.store.count(condition)) == len(wanted)

    @rule(limit=st.integers(0, 7))
    def newest(self, limit: int) -> None:
        found = self.runner.run(self.store.get_recent(limit))
        newest = sorted(self.created.values(), reverse=True)[:limit]
        assert [one.created_at for one in found] == newest

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.close())
        self.open()

    @invariant()
    def all_are_there(self) -> None:
        found = self.runner.run(self.store.find(order_by=column("id")))
        assert [one.id for one in found] == sorted(self.wanted)

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(
    max_examples=examples(100),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Move(NamedTuple):
    """One task: when it saves, what, and when it is cancelled, in turns of the event loop."""

    after: int
    bad: bool
    cancelled_after: int | None


MOVES = st.lists(
    st.builds(Move, st.integers(0, 12), st.booleans(), st.none() | st.none() | st.integers(0, 25)),
    max_size=25,
)


@settings(IN_ONE_FOLDER, max_examples=examples(60))
@given(MOVES)
async def test_all_that_was_acknowledged_is_there_whoever_is_cancelled(
    folder: Path, moves: list[Move]
) -> None:
    async with opened(note_store(folder)) as store:
        acknowledged: set[str] = set()
        refused: set[str] = set()

        async def save(number: int, move: Move) -> None:
            note = Note(content={"number": number})
            if move.bad:
                note = Note.model_construct(**{**dict(note), "id": None})
            for _ in range(move.after):
                await asyncio.sleep(0)
            try:
                await store.save(note)
            except InvalidRecordError:
                assert move.bad
                refused.add(f"{number}")
            else:
                assert not move.bad
                acknowledged.add(note.id)

        async def cancel(task: "asyncio.Task[None]", after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        async with asyncio.timeout(20):
            saves = [asyncio.create_task(save(number, move)) for number, move in enumerate(moves)]
            cancels = [
                asyncio.create_task(cancel(task, move.cancelled_after))
                for task, move in zip(saves, moves, strict=True)
                if move.cancelled_after is not None
            ]
            for task in [*saves, *cancels]:
                with suppress(asyncio.CancelledError):
                    await task
            kept = {one.id for one in await store.find()}
            assert acknowledged <= kept
            untouched = [move for move in moves if move.cancelled_after is None]
            assert len(acknowledged) + len(refused) >= len(untouched)
            last = await store.save(Note())
            assert (await store.get(last.id)).id == last.id
        for id in {*kept, last.id}:
            await store.delete(id)
