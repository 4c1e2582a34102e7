"""The group of a session."""

from collections.abc import Callable
from typing import Final

from khive_persist.analytics.compare.metrics import at
from khive_persist.errors import InvalidQueryError
from khive_persist.models.assignment import NAMED
from khive_persist.sessions.facts import Assigned, SessionFacts

Key = Callable[[SessionFacts], str | None]

_OF_SESSION: Final = ("tool", "model", "project", "verdict")
_OF_PLAN: Final = ("complexity", "workflow_pattern", "task_description")
_OF_APPLICATION: Final = ("group", "scenario", "participant")

NAMES: Final = (*_OF_SESSION, *_OF_PLAN, *_OF_APPLICATION)


def key(name: str, *, with_late: bool = False) -> Key:
    """Return what gives a session's group by a field; None for a session that lacks it.

    Besides those in `NAMES`: `plan:PATH` and `application:PATH`, a text or number in the content;
    `experiment:NAME`, the variant that the session was assigned.

    Args:
        with_late: Whether a session has a group that somebody named after its work had begun.

    Raises:
        InvalidQueryError: There is no such field.
    """
    if name in _OF_SESSION:
        return lambda session: _text(getattr(session, name))
    kind, colon, path = name.partition(":")
    if name in _OF_PLAN or (colon and path and kind == "plan"):
        return lambda session: _text(at(session.plan, path or name))
    if name in _OF_APPLICATION or (colon and path and kind == "application"):
        return lambda session: _text(at(session.application, path or name))
    experiment = experiment_of(name)
    if experiment is not None:
        return lambda session: _variant(session.assignments.get(experiment), with_late=with_late)
    raise InvalidQueryError(
        f"nothing to group by is named {name!r}",
        hint=f"one of {', '.join(NAMES)}, plan:PATH, application:PATH, experiment:NAME",
    )


def experiment_of(name: str) -> str | None:
    """Return the experiment whose variants a field stands for; None for another field."""
    kind, _, experiment = name.partition(":")
    return experiment if kind == "experiment" and experiment else None


def is_chosen_late(assigned: Assigned) -> bool:
    """Return whether somebody could choose the variant by what had happened already."""
    return assigned.is_late and assigned.method == NAMED


def _variant(assigned: Assigned | None, *, with_late: bool) -> str | None:
    if assigned is None or (is_chosen_late(assigned) and not with_late):
        return None
    return assigned.variant


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)
