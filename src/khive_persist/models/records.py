"""List the classes of our records: schema, export, import and HTTP take them from here."""

from typing import Final

from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.assignment import Assignment
from khive_persist.models.described import described
from khive_persist.models.experiment import Experiment
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import Purpose
from khive_persist.models.score import Score

RECORDS: Final[tuple[type[Node], ...]] = (
    PlannerSession,
    HookEvent,
    Message,
    FocusChain,
    Outcome,
    ApplicationSession,
    Measurement,
    Score,
    Experiment,
    Assignment,
)
_BY_NAME: Final = {kind.name: record for record in RECORDS for kind in record.purposes()}


def class_of(purpose: Purpose) -> type[Node]:
    """Return the class of the records of a purpose; a plain one for a kind of a user's own."""
    return _BY_NAME.get(purpose.name) or described(purpose)
