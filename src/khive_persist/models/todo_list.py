"""Find the changes of a to-do list between two snapshots, and the time that items took.

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
    **dict.fromkeys(("not_started", "open", "todo"), PENDING),
    **dict.fromkeys(("active", "doing", "inprogress", "started"), IN_PROGRESS),
    **dict.fromkeys(("complete", "done", "resolved"), COMPLETED),
}


class Changes(NamedTuple):
    """The changes from one list to the next, as texts of items, in their order.

    Attributes:
        added: Items that were not there; pending, unless a list below names them, too.
        started: Items that came in progress.
        completed: Items that were completed.
        dropped: Items that are no longer there.
        changed: Other changes of items: their `text` and `status` now, and `was`, the text before,
            for one that was renamed. A status is here if none of the lists above has it, as that of
            an item that is pending again.
    """

    added: list[str]
    started: list[str]
    completed: list[str]
    dropped: list[str]
    changed: list[dict[str, str]]


class Work(NamedTuple):
    """One time that an item was in progress.

    Attributes:
        text: The item's last text.
        start: The instant of the snapshot that has it in progress.
        end: The instant of the first snapshot that has not, or None while it goes on.
        ended: The status then: completed, dropped, or another; None while it goes on.
    """

    text: str
    start: datetime
    end: datetime | None = None
    ended: str | None = None


def status_of(word: object) -> str:
    """Return a status as snapshots spell it: pending, in_progress, completed, or the word itself.

    A value that is no word is pending, as the tools take it.
    """
    if not isinstance(word, str) or not word.strip():
        return PENDING
    spelled = "_".join(word.lower().replace("-", " ").split())
    return _SAME.get(spelled, spelled if spelled in (PENDING, IN_PROGRESS, COMPLETED) else word)


def sound_items(items: object) -> list[dict[str, Any]]:
    """Return those items of a list that have a text and a status; it may hold anything."""
    return [
        dict(item)
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, Mapping)
        and isinstance(item.get("text"), str)
        and isinstance(item.get("status"), str)
    ]


def changes(old_items: Items, new_items: Items) -> Changes:
    """Return the changes between two lists. Their order does not count."""
    pairs = paired(old_items, new_items)
    result = Changes([], [], [], [], [])
    for number, item in enumerate(new_items):
        text, status = item["text"], item["status"]
        was = old_items[pairs[number]] if number in pairs else None
        if was is None:
            result.added.append(text)
        is_renamed = was is not None and was["text"] != text
        is_moved = status != (PENDING if was is None else was["status"])
        if is_moved and status == IN_PROGRESS:
            result.started.append(text)
        elif is_moved and status == COMPLETED:
            result.completed.append(text)
        elif is_moved and not is_renamed:
            result.changed.append({"text": text, "status": status})
        if was is not None and is_renamed:
            result.changed.append({"text": text, "status": status, "was": was["text"]})
    kept_indexes = set(pairs.values())
    result.dropped.extend(item["text"] for n, item in enumerate(old_items) if n not in kept_indexes)
    return result


def paired(old_items: Items, new_items: Items) -> dict[int, int]:
    """Pair each new item with the same old one; both are indexes, the new one is the key."""
    pairs: dict[int, int] = {}
    ids = {id: number for number, item in enumerate(old_items) if (id := _id(item)) is not None}
    for number, item in enumerate(new_items):
        if _id(item) in ids:
            pairs[number] = ids.pop(_id(item))
    paired_indexes = set(pairs.values())
    texts: dict[str, list[int]] = {}
    for number, item in enumerate(old_items):
        if number not in paired_indexes:
            texts.setdefault(item["text"], []).append(number)
    for number, item in enumerate(new_items):
        if number in pairs:
            continue
        candidates = texts.get(item["text"], [])
        # Of two ids that differ, the items are two, whatever they are called.
        free = (n for n in candidates if _id(item) is None or _id(old_items[n]) is None)
        if (chosen := next(free, None)) is not None:
            candidates.remove(chosen)
            pairs[number] = chosen
    return pairs


def _id(item: Item) -> object:
    # A row that somebody else wrote may have anything there, also what cannot be looked up.
    id = item.get("id")
    return id if isinstance(id, str | int) else None


def updated(previous: Items, change: Item) -> list[dict[str, Any]]:
    """Return the list after a change of one item.

    Args:
        previous: The list before.
        change: The item's `id`, and its new `text` and `status`, if they change. The status
            `deleted` takes it out. One that is not there is added.
    """
    items = [dict(item) for item in previous]
    existing = next((i for i in items if "id" in change and i.get("id") == change["id"]), None)
    if change.get("status") == DELETED:
        return [item for item in items if item is not existing]
    if existing is None:
        defaults = {"text": f"task {change.get('id')}", "status": PENDING}
        return [*items, defaults | dict(change)]
    existing.update(change)
    return items


def work(history: Iterable[tuple[datetime, Items]]) -> list[Work]:
    """Return each time that an item was in progress, by its start.

    Args:
        history: The snapshots of one list, oldest first, with their instants.
    """
    finished: list[Work] = []
    open_: dict[int, Work] = {}
    previous: Items = ()
    for at, items in history:
        going = {}
        for number, was in paired(previous, items).items():
            if was not in open_:
                continue
            item, period = items[number], open_.pop(was)._replace(text=items[number]["text"])
            if item["status"] == IN_PROGRESS:
                going[number] = period
            else:
                finished.append(period._replace(end=at, ended=item["status"]))
        finished += [period._replace(end=at, ended=DROPPED) for period in open_.values()]
        for number, item in enumerate(items):
            if item["status"] == IN_PROGRESS and number not in going:
                going[number] = Work(item["text"], at)
        previous, open_ = items, going
    return sorted([*finished, *open_.values()], key=lambda period: period.start)
