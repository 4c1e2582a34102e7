"""A record of one's own: a training session with its exercises and their sets."""

from typing import Annotated, ClassVar, Required

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveInt, with_config
from typing_extensions import TypedDict

from khive_persist import Node, Purpose, purpose


@with_config(ConfigDict(extra="allow"))
class Set(TypedDict):
    """So many repetitions with a weight in kg."""

    reps: PositiveInt
    kg: NonNegativeFloat


@with_config(ConfigDict(extra="allow"))
class Exercise(TypedDict):
    """One exercise, with its sets in order."""

    name: Annotated[str, Field(min_length=1)]
    sets: list[Set]


@with_config(ConfigDict(extra="allow"))
class TrainingContent(TypedDict, total=False):
    """What was done in one session. Unknown fields are kept."""

    athlete: Required[str]
    exercises: Required[list[Exercise]]
    notes: str
    # The sum of kg times repetitions: written with the session, so that SQL can ask for it.
    volume_kg: float


class TrainingSession(Node):
    """Saved, it is a row of `training_sessions.db` and a file `training_session_….json`."""

    purpose: ClassVar[Purpose] = purpose(
        "training_sessions",
        view="trainings",
        fields=("athlete", "volume_kg", "notes"),
        indexes=(("athlete", "created_at"), ("volume_kg",)),
        document="training_session",
    )

    content: TrainingContent


def training(athlete: str, exercises: list[Exercise], notes: str = "") -> TrainingSession:
    """A session that is not saved yet."""
    volume = sum(one["kg"] * one["reps"] for exercise in exercises for one in exercise["sets"])
    content: TrainingContent = {
        "athlete": athlete,
        "exercises": exercises,
        "notes": notes,
        "volume_kg": volume,
    }
    return TrainingSession(content=content)
