"""`Hours`: the sums of a rollup by hour, for what is asked over a time."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.prices import PICODOLLARS
from khive_persist.sessions.rollup.groups import Group
from khive_persist.sessions.rollup.rollup import Rollup

By = Literal["tool", "model", "project"]
Bucket = Literal["hour", "day"]

BY: Final[tuple[By, ...]] = get_args(By)
BUCKETS: Final[tuple[Bucket, ...]] = get_args(Bucket)
_DAY_CHARACTERS: Final = len("YYYY-MM-DD")
_MIDNIGHT: Final = "0000-00-00 00:00:00.000000"
_EVENTS: Final = frozenset(one.name for one in HOOK_EVENTS.values())


class Sums(NamedTuple):
    """What happened; `cost` is in USD, of what has a price, and None where nothing has.

    Of groups and of the steps of a series each session is counted once, so that they add up to the
    total: in the group of its own tool, model or project, in the step in which it is seen first.
    """

    events: int
    failures: int
    sessions: int
    messages: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: float | None
    unpriced: int


class Overview(NamedTuple):
    """What happened in a time.

    Attributes:
        totals: Over all of it.
        series: By the beginning of the bucket and by group, in order; empty ones are left out.
        groups: By group, the one with most events first.
    """

    totals: Sums
    series: list[tuple[str, str | None, Sums]]
    groups: list[tuple[str | None, Sums]]


class _Sum:
    """Sums that grow."""

    __slots__ = ("counts", "sessions")

    def __init__(self) -> None:
        # events, failures, messages, input, cache_read, cache_write, output, cost, priced, unpriced
        self.counts = [0] * 10
        self.sessions: set[str] = set()

    def count(self, counts: Sequence[int], sessions: Iterable[str]) -> None:
        self.counts = [one + other for one, other in zip(self.counts, counts, strict=True)]
        self.sessions.update(sessions)

    def add(self, other: "_Sum") -> None:
        self.count(other.counts, other.sessions)

    def made(self, sessions: int) -> Sums:
        (
            events, failures, messages, input, cache_read, cache_write, output, cost, priced,
            unpriced,
        ) = self.counts  # fmt: skip
        return Sums(
            events=events,
            failures=failures,
            sessions=sessions,
            messages=messages,
            input=input,
            cache_read=cache_read,
            cache_write=cache_write,
            output=output,
            cost=cost / PICODOLLARS if priced else None,
            unpriced=unpriced,
        )


_NO_SUM: Final = _Sum()
_Hour = dict[By, dict[str, _Sum]]
_NOTHING: Final[_Hour] = {by: {} for by in BY}


class Hours:
    """The sums of each hour by tool, model and project. It may be used from any thread."""

    def __init__(self, rollup: Rollup) -> None:
        self._rollup = rollup
        self._lock = threading.Lock()
        self._hours: dict[str, _Hour] = {}
        self._days: dict[tuple[str, By], dict[str, _Sum]] = {}
        self._names: dict[str, str] = {}
        self._groups: dict[By, dict[str, str]] = {by: {} for by in BY}

    def overview(self, since: str | None, until: str | None, bucket: Bucket, by: By) -> Overview:
        """Return what happened in a time.

        Args:
            since: From this hour on: the first 13 characters of its time; None for no limit.
            until: Before this hour.
            bucket: How long the steps of the series are.
            by: What the groups are.
        """
        totals = _Sum()
        groups: dict[str, _Sum] = {}
        with self._lock:
            self._renew()
            days = {hour[:_DAY_CHARACTERS] for hour in self._hours}
            whole = {
                day
                for day in days
                if (since is None or f"{day} 00" >= since)
                and (until is None or f"{day} 23" < until)
            }
            parts = {
                hour: own
                for hour, own in self._hours.items()
                if hour[:_DAY_CHARACTERS] not in whole
                and (since is None or hour >= since)
                and (until is None or hour < until)
            }
            of_days = {day: self._day(day, by) for day in whole}
            for some in (*of_days.values(), *(own[by] for own in parts.values())):
                for name, one in some.items():
                    totals.count(one.counts, ())
                    groups.setdefault(name, _Sum()).count(one.counts, ())
            series: dict[tuple[str, str], _Sum] = {}
            if bucket == "hour":
                for hour, own in self._hours.items():
                    if hour in parts or hour[:_DAY_CHARACTERS] in whole:
                        series |= {(hour, name): one for name, one in own[by].items()}
            else:
                series = {
                    (day, name): one for day, some in of_days.items() for name, one in some.items()
                }
                for hour, own in parts.items():
                    for name, one in own[by].items():
                        series.setdefault((hour[:_DAY_CHARACTERS], name), _Sum()).add(one)
            steps = self._first_seen(series, by)
            of_groups: Counter[str] = Counter()
            for (_, name), count in steps.items():
                of_groups[name] += count
            # While it is locked: the sums of an hour that is not over grow.
            made = [
                (at + _MIDNIGHT[len(at) :], name or None,
                 series.get((at, name), _NO_SUM).made(steps[at, name]))
                for at, name in sorted(series.keys() | steps.keys())
            ]  # fmt: skip
        ordered = sorted(
            ((name, groups.get(name, _NO_SUM)) for name in groups.keys() | of_groups.keys()),
            key=lambda item: (-item[1].counts[0], -item[1].counts[2], item[0]),
        )
        return Overview(
            totals.made(sum(steps.values())),
            made,
            [(name or None, one.made(of_groups[name])) for name, one in ordered],
        )

    def _first_seen(
        self, series: Mapping[tuple[str, str], _Sum], by: By
    ) -> Counter[tuple[str, str]]:
        """Count each session once: in its first step, and in the group that is its own."""
        steps: Counter[tuple[str, str]] = Counter()
        own = self._groups[by]
        seen: set[str] = set()
        for at, name in sorted(series):
            new = series[at, name].sessions - seen
            seen |= new
            for session in new:
                steps[at, own.get(session, "")] += 1
        return steps

    def _day(self, day: str, by: By) -> dict[str, _Sum]:
        """The sums of a whole day, which are kept until one of its hours changes."""
        if (day, by) not in self._days:
            sums: dict[str, _Sum] = {}
            for hour in range(24):
                for name, one in self._hours.get(f"{day} {hour:02}", _NOTHING)[by].items():
                    sums.setdefault(name, _Sum()).add(one)
            self._days[day, by] = sums
        return self._days[day, by]

    def renew(self) -> None:
        """Sum up what has changed, which the next question would do otherwise."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        """Sum up anew the hours in which something has changed."""
        _, rows = self._rollup.stale_hours()
        for hour in {row[0] for row in rows}:
            self._hours.pop(hour, None)
            for by in BY:
                self._days.pop((hour[:_DAY_CHARACTERS], by), None)
        for hour, *cell in rows:
            if cell[0] is None:
                continue
            one = Group(*cell[: len(Group._fields)])
            is_event, is_message = one.file in _EVENTS, one.file == CONVERSATIONS.name
            if not is_event and not is_message:
                continue
            counts = (
                one.rows if is_event else 0,
                one.failures,
                one.rows - one.others if is_message else 0,
                one.input,
                one.cache_read,
                one.cache_write,
                one.output,
                one.cost,
                one.priced,
                one.unpriced,
            )
            # One text for each session, however many hours it has.
            sessions = [self._names.setdefault(one.session, one.session)] if one.session else []
            for session in sessions:
                for by, name in zip(BY, cell[len(Group._fields) :], strict=True):
                    self._groups[by][session] = self._names.setdefault(name or "", name or "")
            own = self._hours.setdefault(hour, {by: {} for by in BY})
            for by in BY:
                own[by].setdefault(getattr(one, by), _Sum()).count(counts, sessions)
