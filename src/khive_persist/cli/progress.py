"""Show a progress bar to a person who waits at a terminal for more than a second."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

_PATIENCE_SECONDS: Final = 1.0


def is_watched() -> bool:
    """Return whether a bar would be seen."""
    return sys.stderr.isatty()


@contextmanager
def progress(noun: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr, from the second second on.

    Args:
        noun: The word for what is counted.
        total: The number at the end, or None where it is not known.

    Yields:
        A function to call with the number of those done since.
    """
    start = time.monotonic()
    completed = 0
    bar: Any = None
    with ExitStack() as stack:

        def advance(count: int) -> None:
            nonlocal completed, bar
            completed += count
            if bar is None and is_watched() and time.monotonic() - start > _PATIENCE_SECONDS:
                bar = stack.enter_context(_bar())
                bar.add_task(noun, total=total)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=completed)

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
