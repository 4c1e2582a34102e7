"""Many items in one transaction; where one of them cannot be stored, each in one of its own."""

from collections.abc import Callable
from typing import TypeVar

from khive_persist.errors import InvalidRecordError

Item = TypeVar("Item")
Result = TypeVar("Result")


def commit_together(
    items: list[Item],
    commit: Callable[[list[Item]], Result],
    refuse: Callable[[Item, BaseException], Result],
    fault: type[BaseException] = InvalidRecordError,
) -> list[Result]:
    """Commit items so that one that cannot be stored keeps none of the others out.

    Args:
        items: The items, at least one.
        commit: A function that stores some of them in one transaction, or none.
        refuse: A function that is given an item that cannot be stored, and the reason.
        fault: The error that one of the items can be to blame for; others are raised.

    Returns:
        The results of both functions, in the order of the items: one, or one for each item.
    """
    try:
        return [commit(items)]
    except fault as error:
        if len(items) == 1:
            return [refuse(items[0], error)]
    return [result for item in items for result in commit_together([item], commit, refuse, fault)]
