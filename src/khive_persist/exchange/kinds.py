"""The classes of records that come and go in files."""

from typing import Final

from khive_persist.purposes import Purpose
from khive_persist.records.application_session import ApplicationSession
from khive_persist.records.assignment import Assignment
from khive_persist.records.described import described
from khive_persist.records.experiment import Experiment
from khive_persist.records.focus_chain import FocusChain
from khive_persist.records.hook_event import HookEvent
from khive_persist.records.measurement import Measurement
from khive_persist.records.message import Message
from khive_persist.records.node import Node
from khive_persist.records.outcome import Outcome
from khive_persist.records.planner_session import PlannerSession
from khive_persist.records.score import Score

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
    """The class of the records of a purpose; a plain one for a kind of a user's own."""
    return _BY_NAME.get(purpose.name) or described(purpose)
