"""Records that name no model count with that of their session; what they spent does not."""

from typing import Any

from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.sessions.rollup.groups import Group
from khive_persist.sessions.rollup.hours import Hours
from khive_persist.sessions.rollup.rollup import Rollup

EVENTS = EVENT_FILES["claude-code"].name
DAY = "2026-11-21"


def cell(session: str, file: str, hour: int, model: str, rows: int, **sums: Any) -> Group:
    at = f"{DAY} {hour:02}"
    instant = f"{at}:00:00.000000"
    return Group(session, file, at, "claude-code", "", model, rows, instant, instant, **sums)


def test_a_model_that_is_known_later_counts_for_the_hours_before() -> None:
    rollup = Rollup()
    hours = Hours(rollup)
    rollup.add([cell("s", EVENTS, 1, "", 5, failures=2), cell("alone", EVENTS, 1, "", 3)])
    groups = dict(hours.overview(None, None, "hour", "model").groups)
    assert {name: sums.events for name, sums in groups.items()} == {None: 8}
    rollup.add(
        [
            cell("s", CONVERSATIONS.name, 2, "m", 4, input=100, cost=7, priced=4),
            cell("s", CONVERSATIONS.name, 2, "", 6, input=50, unpriced=1),
        ]
    )
    overview = hours.overview(None, None, "hour", "model")
    groups = dict(overview.groups)
    assert groups.keys() == {None, "m"}
    of_model, of_none = groups["m"], groups[None]
    assert (of_model.events, of_model.failures, of_model.messages) == (5, 2, 10)
    assert (of_none.events, of_none.messages, of_none.sessions) == (3, 0, 1)
    assert (of_model.input, of_model.unpriced, of_none.input, of_none.unpriced) == (100, 0, 50, 1)
    assert [sum(column) for column in zip(of_model[:8], of_none[:8], strict=True)] == [
        *overview.totals[:8]
    ]
    rollup.close()
