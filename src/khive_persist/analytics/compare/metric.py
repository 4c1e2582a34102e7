"""A metric: what is counted of a session, and the values of it that groups of sessions have."""

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from khive_persist.store.numbers import is_countable

Kind = Literal["number", "share"]

ABSENT: Final = "not recorded"
NO_NUMBER: Final = "no number that can be counted with"


class Metric(NamedTuple):
    """A figure of a session.

    Attributes:
        name: The name by which it is asked for.
        definition: The figure, and the sessions that have it, in a sentence.
        unit: The unit of a value, or an empty string.
        kind: `number`, or `share` where each session has 1 or 0.
    """

    name: str
    definition: str
    unit: str = ""
    kind: Kind = "number"


class Sample:
    """The values that one group's sessions have, and why the others have none."""

    def __init__(self) -> None:
        self.values = array("d")
        self.left_out: Counter[str] = Counter()

    def add(self, value: float | None) -> bool:
        """Add a value, or count the reason why it is none; return whether it was added."""
        if value is None:
            self.left_out[ABSENT] += 1
            return False
        if not is_countable(value):
            self.left_out[NO_NUMBER] += 1
            return False
        self.values.append(value)
        return True


# The samples of one metric, by the group's name.
Samples = Mapping[str, Sample]
