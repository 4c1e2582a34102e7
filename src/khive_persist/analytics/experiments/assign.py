"""The variant of a session, assigned once."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.analytics.experiments.create import find_experiment, made
from khive_persist.analytics.experiments.random_assignment import draw
from khive_persist.errors import ConflictError, InvalidRecordError
from khive_persist.models.assignment import NAMED, RANDOM, Assignment, Method
from khive_persist.models.experiment import Experiment, Name
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions.has_started import has_begun
from khive_persist.store.immutable import FixedStore, InsertResult

Begun = Callable[[str], Awaitable[bool]]


async def assign(
    session_id: str, experiment: str, variant: str | None = None, *, dir: Path | str | None = None
) -> Assignment:
    """Assign a variant of an experiment to a session: committed, synced and copied on return.

        assignment = await assign(session_id, "prompt")
        prompt = PROMPTS[assignment.content["variant"]]

    Assign it before the session's work begins. A session is assigned once in an experiment: whoever
    asks again, in whichever process, gets what there is, also where it was drawn and no variant is
    named now, or was named and would be drawn. `is_late` of its content says whether something of
    the session's work was recorded before: see `has_begun`.

    Args:
        session_id: The whole id, of 1 to 200 characters. It need not be known yet, so the beginning
            of one is taken for an id of its own.
        experiment: Its name.
        variant: The one that the session has, where somebody else decided. Without it, it is drawn
            by `draw`: nobody chooses, and anybody can draw it again.
        dir: The directory that holds `.khive`.

    Raises:
        NotFoundError: There is no such experiment.
        ConflictError: The session has another variant than the one named; it keeps that.
        InvalidRecordError: The experiment has no such variant, or it is no id of a session.
        ProjectError: The project cannot be made.
        StoreError: As its subclasses say; it is not saved.
    """
    return (await assign_in_project(find_project(dir), session_id, experiment, variant)).record


async def assign_in_project(
    project: Project, session_id: str, experiment: str, variant: str | None = None
) -> InsertResult[Assignment]:
    """Assign a variant in a project, as `assign` does; return also whether that is new."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        experiments = await enter(open_store(Experiment, dir=project.root))
        assignments = await enter(open_store(Assignment, dir=project.root))
        # What waits in the spool comes in before.
        begun = partial(has_begun, partial(reading, project))
        return await insert_assignment(
            experiments, assignments, begun, session_id, experiment, variant
        )


async def insert_assignment(
    experiments: FixedStore[Experiment],
    assignments: FixedStore[Assignment],
    begun: Begun,
    session_id: str,
    experiment: str,
    variant: str | None = None,
) -> InsertResult[Assignment]:
    """Assign a variant in open stores, as `assign` does; `begun` tells whether work has begun."""
    variants = (await find_experiment(experiments, experiment)).content["variants"]
    names = [variant["name"] for variant in variants]
    if variant is not None and variant not in names:
        raise InvalidRecordError(
            f"the experiment {experiment!r} has no variant {variant[:100]!r}",
            hint=f"one of {', '.join(names)}",
        )
    content: dict[str, Any] = {
        "session_id": session_id,
        "experiment": experiment,
        "variant": names[0],
        "method": RANDOM if variant is None else NAMED,
        "is_late": False,
        "variants": variants,
    }
    # Before anything is made of its id, it must be one.
    checked = made(Assignment, content).content
    content["variant"] = draw(experiment, session_id, checked["variants"])
    if variant is not None:
        content["variant"] = variant
    content["is_late"] = await begun(session_id)
    inserted = await assignments.insert_if_absent(made(Assignment, content))
    existing = as_document(inserted.record)
    if variant is not None and existing.variant != variant:
        at = f"{inserted.record.created_at:%Y-%m-%d %H:%M:%S} UTC"
        raise ConflictError(
            f"the session {session_id!r} has the variant {existing.variant!r} of"
            f" {experiment!r}, {described(existing)}, since {at}; it keeps it"
        )
    return inserted


class AssignmentAnswer(NamedTuple):
    """The answer to who asked for an assignment."""

    session_id: str
    experiment: Name
    variant: Name
    method: Method
    is_late: bool


def described(answer: AssignmentAnswer) -> str:
    """Return how an assignment was made, in words."""
    method = "by name" if answer.method == NAMED else "at random"
    return f"assigned {method}" + (", late" if answer.is_late else "")


def as_document(assignment: Assignment) -> AssignmentAnswer:
    """Return what whoever asked is told of an assignment."""
    content: Any = assignment.content
    return AssignmentAnswer(*(content.get(name) for name in AssignmentAnswer._fields))
