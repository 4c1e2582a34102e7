"""`Score`: a rating of something in a session."""

from typing import Any, ClassVar, Required

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from khive_persist.models.field_types import Instant, Number, TimeSeries
from khive_persist.models.purposes import SCORES, Purpose


@with_config(ConfigDict(extra="allow"))
class ScoreContent(TypedDict, total=False):
    """The content of a score. Unknown fields are kept.

    `value` and `max_value` are finite numbers; `max_value` is the best possible value. `scored_at`
    is the time that the sender gave; the record's `created_at` is the same then, and the time of
    arrival otherwise.
    """

    session_id: Required[str]
    name: Required[str]
    value: Required[Number]
    max_value: Number
    scored_at: Instant
    note: str
    metadata: dict[str, Any]


class Score(TimeSeries):
    """One score. Another one of the same name is another record: none is overwritten."""

    purpose: ClassVar[Purpose] = SCORES
    time_field: ClassVar[str] = "scored_at"

    content: ScoreContent
