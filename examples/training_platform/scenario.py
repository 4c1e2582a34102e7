"""A scenario, and a student who works through it."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from examples.training_platform.client import Client

SCENARIO = "chest_pain"
# One group is told after each step what was good and what was missed.
GROUPS = ("with_feedback", "without_feedback")
STEPS = (
    ("history", "A man of 58 has had pressure in his chest for an hour. What do you ask?"),
    ("examination", "He is pale and sweats. What do you look at first?"),
    ("ecg", "The ECG shows ST elevation in II, III and aVF. What is it?"),
    ("treatment", "What do you give, and whom do you call?"),
    ("handover", "Hand the patient over to the catheter laboratory."),
)
VITAL_SIGNS = (("heart_rate", "bpm", 96, 8), ("systolic", "mmHg", 118, 10), ("spo2", "%", 94, 1.5))
READINGS = 4
MOST_POINTS = 10


class Student(NamedTuple):
    """Somebody who is trained."""

    number: int
    group: str

    @property
    def session_id(self) -> str:
        return f"{SCENARIO}-{self.number:02}"


def students(count: int) -> list[Student]:
    """So many of them, in groups of the same size."""
    return [Student(number, GROUPS[number % len(GROUPS)]) for number in range(count)]


def expected() -> dict[str, int]:
    """How much there is of each session in the end."""
    return {
        "messages": 2 * len(STEPS),
        "measurements": READINGS * len(VITAL_SIGNS) * len(STEPS),
        "scores": len(STEPS) + 1,
    }


def work(client: Client, student: Student, done: Callable[[], None]) -> None:
    """Work through the scenario.

    Args:
        client: Whose answers may take long, and whose connection may break.
        student: Who works.
        done: Called after each step.
    """
    # Each student is another, and the same in each run.
    chance = random.Random(student.number)  # noqa: S311 - no secret
    session = student.session_id
    client.start(
        session,
        application="training_platform",
        participant=f"student-{student.number:02}",
        scenario=SCENARIO,
        group=student.group,
    )
    reached = 0
    for number, (step, question) in enumerate(STEPS, 1):
        client.add(
            session,
            "messages",
            {"role": "assistant", "text": question, "step": step},
            {"role": "user", "text": f"My answer to {step}.", "step": step},
        )
        client.add(session, "measurements", *vital_signs(chance, step))
        points = score(chance, student.group, number)
        reached += points
        client.add(session, "scores", {"name": step, "value": points, "max_value": MOST_POINTS})
        client.update(session, step=step, steps_done=number)
        done()
    total = MOST_POINTS * len(STEPS)
    client.add(session, "scores", {"name": "total", "value": reached, "max_value": total})
    client.complete(session, outcome="passed" if reached * 2 >= total else "failed")


def vital_signs(chance: random.Random, step: str) -> list[dict[str, Any]]:
    """What the patient's monitor shows during a step."""
    return [
        {"name": name, "unit": unit, "value": round(chance.gauss(mean, spread), 1), "step": step}
        for _ in range(READINGS)
        for name, unit, mean, spread in VITAL_SIGNS
    ]


def score(chance: random.Random, group: str, number: int) -> int:
    """Who is told what was missed does better with each step."""
    learned = 0.7 * (number - 1) if group == GROUPS[0] else 0.0
    return max(0, min(MOST_POINTS, round(chance.gauss(5.5 + learned, 1.5))))
