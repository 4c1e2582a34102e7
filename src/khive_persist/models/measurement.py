"""`Measurement`: one number that was measured in a session, at one time."""

from typing import Any, ClassVar, Required

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from khive_persist.models.field_types import Instant, Number, TimeSeries
from khive_persist.models.purposes import MEASUREMENTS, Purpose


@with_config(ConfigDict(extra="allow"))
class MeasurementContent(TypedDict, total=False):
    """The content of a measurement. Unknown fields are kept.

    `value` is a finite number, in `unit`. `measured_at` is the time that the sender gave; the
    record's `created_at` is the same then, and the time of arrival otherwise.
    """

    session_id: Required[str]
    name: Required[str]
    value: Required[Number]
    unit: str
    measured_at: Instant
    metadata: dict[str, Any]


class Measurement(TimeSeries):
    """One value of a series: a vital sign, a count of tokens, anything numeric."""

    purpose: ClassVar[Purpose] = MEASUREMENTS
    time_field: ClassVar[str] = "measured_at"

    content: MeasurementContent
