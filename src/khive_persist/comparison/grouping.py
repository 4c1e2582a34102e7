"""Which group a session is of."""

from collections.abc import Callable
from typing import Final

from khive_persist.comparison.metrics import at
from khive_persist.comparison.session_facts import SessionFacts
from khive_persist.errors import InvalidQueryError

Key = Callable[[SessionFacts], str | None]

_OF_SESSION: Final = ("tool", "model", "project", "verdict")
_OF_PLAN: Final = ("complexity", "workflow_pattern", "task_description")
_OF_APPLICATION: Final = ("group", "scenario", "participant")

NAMES: Final = (*_OF_SESSION, *_OF_PLAN, *_OF_APPLICATION)


def key(name: str) -> Key:
    """What gives a session's group by the field of this name; None for a session that lacks it.

    Besides those in `NAMES`: `plan:PATH` and `application:PATH`, a text or number in the content.

    Raises:
        InvalidQueryError: There is no such field.
    """
    if name in _OF_SESSION:
        return lambda one: _text(getattr(one, name))
    kind, colon, path = name.partition(":")
    if name in _OF_PLAN or (colon and path and kind == "plan"):
        return lambda one: _text(at(one.plan, path or name))
    if name in _OF_APPLICATION or (colon and path and kind == "application"):
        return lambda one: _text(at(one.application, path or name))
    raise InvalidQueryError(
        f"nothing to group by is named {name!r}",
        hint=f"one of {', '.join(NAMES)}, plan:PATH, application:PATH",
    )


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)
