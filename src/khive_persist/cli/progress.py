"""A progress bar, for whoever waits at a terminal for more than a second."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

_PATIENCE_SECONDS: Final = 1.0


def is_watched() -> bool:
    """Return whether anybody would see a bar."""
    return sys.stderr.isatty()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on stderr, from the second second on.

    Args:
        what: The word for what is counted.
        total: How many there will be, or None where nobody knows.

    Yields:
        What is called with the number of those that were done.
    """
    start = time.monotonic()
    done = 0
    bar: Any = None
    with ExitStack() as stack:

        def advance(count: int) -> None:
            nonlocal done, bar
            done += count
            if bar is None and is_watched() and time.monotonic() - start > _PATIENCE_SECONDS:
                bar = stack.enter_context(_bar())
                bar.add_task(what, total=total)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)

        yield advance


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
