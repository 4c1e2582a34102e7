"""What the parameters of a request mean as filters."""

from khive_persist.query import Filter, column, field
from khive_persist.server.reading.operations import Asked


def of_times(asked: Asked) -> list[Filter]:
    """`since` and `until`."""
    found: list[Filter] = []
    if asked["since"] is not None:
        found.append(column("created_at") >= asked["since"])
    if asked["until"] is not None:
        found.append(column("created_at") < asked["until"])
    return found


def of_plans(asked: Asked) -> list[Filter]:
    """`complexity`, `min_confidence` and `max_cost`."""
    found: list[Filter] = []
    if asked["complexity"] is not None:
        found.append(field("complexity") == asked["complexity"])
    if asked["min_confidence"] is not None:
        found.append(field("confidence") >= asked["min_confidence"])
    if asked["max_cost"] is not None:
        found.append(field("planning_cost") <= asked["max_cost"])
    return found


def of_type(asked: Asked) -> list[Filter]:
    """`type`, of an event."""
    return [] if asked["type"] is None else [field("event_type") == asked["type"]]
