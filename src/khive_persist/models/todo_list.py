"""What happens to a to-do list: from one snapshot of it to the next, and how long items took.

An item is a mapping with `text` and `status`, and `id` where whoever keeps the list tells items by
one. Items of two lists are the same where their ids are, else where their texts are.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

PENDING: Final = "pending"
IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
DELETED: Final = "deleted"
DROPPED: Final = "dropped"

Item = Mapping[str, Any]
Items = Sequence[Item]

_SAME: Final = {
    "active": IN_PROGRESS,
    "complete": COMPLETED,
    "doing": IN_PROGRESS,
    "done": COMPLETED,
    "inprogress": IN_PROGRESS,
    "not_started": PENDING,
    "open": PENDING,
    "resolved": COMPLETED,
    "started": IN_PROGRESS,
    "todo": PENDING,
}


class Changes(NamedTuple):
    """What changed from one list to the next, as texts of items, in their order.

    Attributes:
        added: Items that were not there; pending, unless a list below names them, too.
        started: Items that came in progress.
        completed: Items that were completed.
        dropped: Items that are no longer there.
        changed: What else became of items: their `text` and `status` now, and `was`, the text
            before, of one that was renamed. A status is here that is none of the lists above, as
            of an item that is pending again.
    """

    added: list[str]
    started: list[str]
    completed: list[str]
    dropped: list[str]
    changed: list[dict[str, str]]


class Work(NamedTuple):
    """One time that an item was in progress.

    Attributes:
        text: The item, as it was called last.
        start: The instant of the snapshot that has it in progress.
        end: That of the first snapshot that has not, or None where none has.
        ended: What it was then: completed, dropped, or its status; None while it goes on.
    """

    text: str
    start: datetime
    end: datetime | None = None
    ended: str | None = None


def status_of(word: object) -> str:
    """A status as snapshots spell it: pending, in_progress or completed; other words as they are.

    What is no word is pending, as the tools take it.
    """
    if not isinstance(word, str) or not word.strip():
        return PENDING
    spelled = "_".join(word.lower().replace("-", " ").split())
    return _SAME.get(spelled, spelled if spelled in (PENDING, IN_PROGRESS, COMPLETED) else word)


def sound_items(items: object) -> list[dict[str, Any]]:
    """The items of a list that may hold anything: those with a text and a status."""
    return [
        dict(item)
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, Mapping)
        and isinstance(item.get("text"), str)
        and isinstance(item.get("status"), str)
    ]


def changes(before: Items, after: Items) -> Changes:
    """Return what changed between two lists. Their order does not count."""
    pairs = paired(before, after)
    made = Changes([], [], [], [], [])
    for number, item in enumerate(after):
        text, status = item["text"], item["status"]
        was = before[pairs[number]] if number in pairs else None
        if was is None:
            made.added.append(text)
        is_renamed = was is not None and was["text"] != text
        is_moved = status != (PENDING if was is None else was["status"])
        if is_moved and status == IN_PROGRESS:
            made.started.append(text)
        elif is_moved and status == COMPLETED:
            made.completed.append(text)
        elif is_moved and not is_renamed:
            made.changed.append({"text": text, "status": status})
        if was is not None and is_renamed:
            made.changed.append({"text": text, "status": status, "was": was["text"]})
    kept = set(pairs.values())
    made.dropped.extend(item["text"] for n, item in enumerate(before) if n not in kept)
    return made


def paired(before: Items, after: Items) -> dict[int, int]:
    """Return which item of the list after is which one of the list before, by their indexes."""
    found: dict[int, int] = {}
    ids = {id: number for number, item in enumerate(before) if (id := _id(item)) is not None}
    for number, item in enumerate(after):
        if _id(item) in ids:
            found[number] = ids.pop(_id(item))
    taken = set(found.values())
    texts: dict[str, list[int]] = {}
    for number, item in enumerate(before):
        if number not in taken:
            texts.setdefault(item["text"], []).append(number)
    for number, item in enumerate(after):
        if number in found:
            continue
        same = texts.get(item["text"], [])
        # Of two ids that differ, the items are two, whatever they are called.
        free = (n for n in same if _id(item) is None or _id(before[n]) is None)
        if (chosen := next(free, None)) is not None:
            same.remove(chosen)
            found[number] = chosen
    return found


def _id(item: Item) -> object:
    # A row that somebody else wrote may have anything there, also what cannot be looked up.
    id = item.get("id")
    return id if isinstance(id, str | int) else None


def updated(before: Items, change: Item) -> list[dict[str, Any]]:
    """The list after a change of one item.

    Args:
        before: The list.
        change: The item's `id`, and of `text` and `status` what it has now. The status `deleted`
            takes it out. One that is not there is added.
    """
    items = [dict(item) for item in before]
    there = next((i for i in items if "id" in change and i.get("id") == change["id"]), None)
    if change.get("status") == DELETED:
        return [item for item in items if item is not there]
    if there is None:
        named = {"text": f"task {change.get('id')}", "status": PENDING}
        return [*items, named | dict(change)]
    there.update(change)
    return items


def work(history: Iterable[tuple[datetime, Items]]) -> list[Work]:
    """Each time that an item was in progress, by its start.

    Args:
        history: The snapshots of one list, oldest first, with their instants.
    """
    done: list[Work] = []
    open_: dict[int, Work] = {}
    before: Items = ()
    for at, after in history:
        going = {}
        for number, was in paired(before, after).items():
            if was not in open_:
                continue
            item, one = after[number], open_.pop(was)._replace(text=after[number]["text"])
            if item["status"] == IN_PROGRESS:
                going[number] = one
            else:
                done.append(one._replace(end=at, ended=item["status"]))
        done += [one._replace(end=at, ended=DROPPED) for one in open_.values()]
        for number, item in enumerate(after):
            if item["status"] == IN_PROGRESS and number not in going:
                going[number] = Work(item["text"], at)
        before, open_ = after, going
    return sorted([*done, *open_.values()], key=lambda one: one.start)
