"""Whatever records there are: both databases give the same ones for the same question."""

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from khive_persist import Aggregate, Node, PlannerSession, column, field, open_store
from khive_persist.models.query import Filter
from khive_persist.project import Project
from tests.factories import plan
from tests.hypotheses import examples

pytestmark = pytest.mark.postgres

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
SCALARS = NUMBERS | TEXTS | st.booleans() | st.none() | st.sampled_from([0, 1, 0.5, "a", "B", ""])
COMPARED = NUMBERS | TEXTS | st.sampled_from([0, 1, 0.5, "a", "B", ""])
CONTENTS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b"]), SCALARS | st.lists(SCALARS, max_size=3)),
    min_size=1, max_size=12,
)  # fmt: skip
VALUES: Any = st.lists(COMPARED | st.none(), max_size=3)
NAMES = st.sampled_from(["a", "b", "b[0]", "b[#-1]"])


@st.composite
def comparisons(draw: st.DrawFn) -> Any:
    one = field(draw(NAMES))
    value: Any = draw(COMPARED)
    scalar: Any = draw(SCALARS)
    match draw(st.integers(0, 8)):
        case 0:
            return one == value
        case 1:
            return one != value
        case 2:
            return one < value
        case 3:
            return one <= value
        case 4:
            return one > value
        case 5:
            return one >= value
        case 6:
            return one.is_null()
        case 7:
            return one.in_(draw(VALUES))
        case _:
            return one.contains(scalar)


FILTERS = st.recursive(
    comparisons(),
    lambda parts: (
        st.tuples(parts, parts).map(lambda two: two[0] & two[1])
        | st.tuples(parts, parts).map(lambda two: two[0] | two[1])
        | parts.map(lambda part: ~part)
    ),
    max_leaves=4,
)


@given(CONTENTS, st.lists(FILTERS, min_size=1, max_size=4))
@settings(
    max_examples=examples(200),
    # Each example asks two databases: to make it smaller takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_both_give_the_same_records(
    project: Project, database: str, contents: list[dict[str, Any]], filters: list[Filter]
) -> None:
    async def answers(url: str | None) -> list[Any]:
        async with open_store(PlannerSession, url, dir=project.root) as plans:
            await plans.clear()
            await plans.save_many(
                plan("s", n, id=f"{n:03}", **content) for n, content in enumerate(contents)
            )
            given: list[Any] = [[_as_saved(one) for one in await plans.find(order_by=column("id"))]]
            given += [
                [one.id for one in await plans.find(filter, order_by=column("id"))]
                for filter in filters
            ]
            for name in ("a", "b"):
                order: Any = [-field(name), column("id")]
                # Of a list the order is that of its text, which each spells in its own way.
                given.append([
                    one.id for one in await plans.find(order_by=order)
                    if not isinstance(one.content.get(name), list)
                ])  # fmt: skip
            scalar = ~field("a").like("[%")
            given.append(
                await plans.aggregate(
                    scalar, number=Aggregate.count(field("a")), least=Aggregate.min(field("a")),
                    most=Aggregate.max(field("a")),
                )
            )  # fmt: skip
            return given

    assert anyio.run(answers, database) == anyio.run(answers, None)


def _as_saved(one: Node) -> tuple[Any, ...]:
    return one.id, repr(one.content), one.node_metadata, one.created_at, one.embedding
