"""Write instants as a person wants them: by `--time`, `--utc`, or `display.time` of config.toml.

A program that reads a pipe gets them whole, in UTC, unless the command line says otherwise.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import click

from khive_persist import clock
from khive_persist.capture.drain_settings import usable_settings
from khive_persist.capture.spool import home_project
from khive_persist.cli.cells import cell
from khive_persist.cli.screen import is_screen
from khive_persist.project import Project
from khive_persist.settings import TimeStyle

_STYLE: Final = "khive_persist.time_style"
_UTC: Final = "khive_persist.utc"
_PROJECT: Final = "khive_persist.project"
_AGES: Final = ((365 * 86_400, "y"), (7 * 86_400, "w"), (86_400, "d"), (3_600, "h"), (60, "m"))


class Times(NamedTuple):
    """A way to write instants.

    Attributes:
        style: `local`, `relative` or `iso`; None for whole ones in UTC, as they are stored.
        is_utc: Whether they are in UTC and not in the zone of this machine.
        now: The instant that ages are counted to.
    """

    style: TimeStyle | None
    is_utc: bool
    now: datetime

    def shift(self, instant: datetime) -> datetime:
        """Return the instant in the zone that it is shown in: UTC where that has no such time."""
        if self.is_utc or self.style is None:
            return instant.astimezone(UTC)
        try:
            return instant.astimezone()
        except (OverflowError, ValueError):
            # At either end of the years; or TZ names an offset of a day and more.
            return instant.astimezone(UTC)

    def text(self, value: Any) -> str:
        """Return one instant as text; another value as it is."""
        return self.texts([value])[0]

    def texts(self, values: Sequence[Any]) -> list[str]:
        """Return the instants of a column, all in the same form; other values as they are."""
        instants = [self._instant(value) for value in values]
        form = self._form([instant for instant in instants if instant is not None])
        return [
            cell(value, None) if instant is None else self._text(instant, form)
            for value, instant in zip(values, instants, strict=True)
        ]

    def _instant(self, value: Any) -> datetime | None:
        if isinstance(value, datetime):
            return clock.as_utc(value)
        # As it is stored, it is whole already; and a number could be anything.
        return clock.from_column(value) if self.style and isinstance(value, str) else None

    def _form(self, instants: Iterable[datetime]) -> str:
        days = {self.shift(instant).date() for instant in instants}
        today = self.shift(self.now).date()
        if days <= {today}:
            return "%H:%M:%S"
        return "%b %d %H:%M" if {day.year for day in days} == {today.year} else "%Y-%m-%d %H:%M"

    def _text(self, instant: datetime, form: str) -> str:
        match self.style:
            case None:
                return clock.to_text(instant)
            case "relative":
                return _age(round((self.now - instant).total_seconds()))
            case "iso":
                return self.shift(instant).isoformat(" ", "seconds").replace("+00:00", "Z")
        return self.shift(instant).strftime(form)


def _age(seconds: int) -> str:
    size, unit = next(((s, unit) for s, unit in _AGES if abs(seconds) >= s), (1, "s"))
    age = f"{abs(seconds) // size}{unit}"
    return f"{age} ago" if seconds >= 0 else f"in {age}"


def times() -> Times:
    """Return the way in which the running command writes instants."""
    context = click.get_current_context(silent=True)
    meta = {} if context is None else context.find_root().meta
    style = meta.get(_STYLE)
    if style is None and is_screen():
        project = meta.get(_PROJECT) or home_project()
        style = "local" if project is None else usable_settings(project).display_time
    return Times(style, meta.get(_UTC, False), clock.now())


def note_project(project: Project) -> None:
    """Remember whose settings say how times are written."""
    click.get_current_context().find_root().meta[_PROJECT] = project


def note_style(context: click.Context, _parameter: click.Parameter, style: str | None) -> None:
    """Remember what `--time` says."""
    if style is not None:
        context.find_root().meta[_STYLE] = style


def note_utc(context: click.Context, _parameter: click.Parameter, is_utc: bool) -> None:
    """Remember what `--utc` says."""
    context.find_root().meta[_UTC] = is_utc
