"""`Hours`: the sums of a rollup by hour, for questions about a period."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.prices import PICODOLLARS
from khive_persist.sessions.rollup.rollup import Rollup

By = Literal["tool", "model", "project"]
Bucket = Literal["hour", "day"]

BY: Final[tuple[By, ...]] = get_args(By)
BUCKETS: Final[tuple[Bucket, ...]] = get_args(Bucket)
_DAY_CHARACTERS: Final = len("YYYY-MM-DD")
_MIDNIGHT: Final = "0000-00-00 00:00:00.000000"
_EVENTS: Final = frozenset(purpose.name for purpose in EVENT_FILES.values())


class Sums(NamedTuple):
    """Sums of events and messages; `cost` is in USD, and None where no message has a price.

    Each session counts once among groups and among the steps of a series, so that they add up to
    the total: in the group of its own tool, model or project, in the first step that has it.
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
    """The sums of a period.

    Attributes:
        totals: The sums over all of it.
        series: The sums by begin of the bucket and by group, in order; empty ones are left out.
        groups: The sums by group, the one with most events first.
    """

    totals: Sums
    series: list[tuple[str, str | None, Sums]]
    groups: list[tuple[str | None, Sums]]


# Those of a `Group` that are summed, and of which kind of rows.
_COUNTS: Final = (
    "events", "messages", "failures", "input", "cache_read", "cache_write", "output", "cost",
    "priced", "unpriced",
)  # fmt: skip


# So many of them count records, and the others what messages spent.
_RECORDS: Final = 3
_NO_RECORDS: Final = (0,) * _RECORDS
_NOTHING_SPENT: Final = (0,) * (len(_COUNTS) - _RECORDS)


class _Sum:
    """Sums that grow, in the order of `_COUNTS`."""

    __slots__ = ("counts", "sessions")

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.sessions: set[str] = set()

    def count(self, counts: Sequence[int], sessions: Iterable[str]) -> None:
        self.counts = [*map(sum, zip(self.counts, counts, strict=True))]
        self.sessions.update(sessions)

    def add(self, other: "_Sum") -> None:
        self.count(other.counts, other.sessions)

    def as_sums(self, sessions: int) -> Sums:
        counts = dict(zip(_COUNTS, self.counts, strict=True))
        cost, priced = counts.pop("cost"), counts.pop("priced")
        return Sums(sessions=sessions, cost=cost / PICODOLLARS if priced else None, **counts)


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
        """Return the sums of a period, from the hour `since` on, before the hour `until`.

        An hour is the first 13 characters of a time, None no limit. `by` makes the groups.
        """
        totals = _Sum()
        groups: dict[str, _Sum] = {}
        with self._lock:
            self._renew()
            days = {hour[:_DAY_CHARACTERS] for hour in self._hours}
            whole_days = {
                day
                for day in days
                if (since is None or f"{day} 00" >= since)
                and (until is None or f"{day} 23" < until)
            }
            parts = {
                hour: sums
                for hour, sums in self._hours.items()
                if hour[:_DAY_CHARACTERS] not in whole_days
                and (since is None or hour >= since)
                and (until is None or hour < until)
            }
            of_days = {day: self._day(day, by) for day in whole_days}
            for sums in (*of_days.values(), *(of_hour[by] for of_hour in parts.values())):
                for name, total in sums.items():
                    totals.count(total.counts, ())
                    groups.setdefault(name, _Sum()).count(total.counts, ())
            series: dict[tuple[str, str], _Sum] = {}
            if bucket == "hour":
                for hour, of_hour in self._hours.items():
                    if hour in parts or hour[:_DAY_CHARACTERS] in whole_days:
                        series |= {(hour, name): total for name, total in of_hour[by].items()}
            else:
                series = {
                    (day, name): total
                    for day, sums in of_days.items()
                    for name, total in sums.items()
                }
                for hour, of_hour in parts.items():
                    for name, total in of_hour[by].items():
                        series.setdefault((hour[:_DAY_CHARACTERS], name), _Sum()).add(total)
            steps = self._first_seen(series, by)
            of_groups: Counter[str] = Counter()
            for (_, name), count in steps.items():
                of_groups[name] += count
            # While it is locked: the sums of an hour that is not over grow.
            sums_of_steps = [
                (at + _MIDNIGHT[len(at) :], name or None,
                 series.get((at, name), _NO_SUM).as_sums(steps[at, name]))
                for at, name in sorted(series.keys() | steps.keys())
            ]  # fmt: skip
        ordered = sorted(
            ((name, groups.get(name, _NO_SUM)) for name in groups.keys() | of_groups.keys()),
            key=lambda item: (-item[1].counts[0], -item[1].counts[1], item[0]),
        )
        return Overview(
            totals.as_sums(sum(steps.values())),
            sums_of_steps,
            [(name or None, total.as_sums(of_groups[name])) for name, total in ordered],
        )

    def _first_seen(
        self, series: Mapping[tuple[str, str], _Sum], by: By
    ) -> Counter[tuple[str, str]]:
        """Count each session once: in its first step, and in the group that is its own."""
        steps: Counter[tuple[str, str]] = Counter()
        groups = self._groups[by]
        seen_ids: set[str] = set()
        for at, name in sorted(series):
            new = series[at, name].sessions - seen_ids
            seen_ids |= new
            for session in new:
                steps[at, groups.get(session, "")] += 1
        return steps

    def _day(self, day: str, by: By) -> dict[str, _Sum]:
        """Return the sums of a whole day, which are kept until one of its hours changes."""
        if (day, by) not in self._days:
            sums: dict[str, _Sum] = {}
            for hour in range(24):
                for name, total in self._hours.get(f"{day} {hour:02}", _NOTHING)[by].items():
                    sums.setdefault(name, _Sum()).add(total)
            self._days[day, by] = sums
        return self._days[day, by]

    def renew(self) -> None:
        """Sum up the changed hours, which the next question would do otherwise."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        """Sum up anew the hours in which something has changed."""
        hours, cells, sessions_of = self._rollup.stale_hours()
        for hour in hours:
            self._hours.pop(hour, None)
            for by in BY:
                self._days.pop((hour[:_DAY_CHARACTERS], by), None)
        for group in cells:
            is_event, is_message = group.file in _EVENTS, group.file == CONVERSATIONS.name
            if not is_event and not is_message:
                continue
            counts = (
                group.rows if is_event else 0,
                group.rows - group.others if is_message else 0,
                *(getattr(group, name) for name in _COUNTS[2:]),
            )
            # One text for each session, however many hours it has.
            id = group.session
            sessions = [self._names.setdefault(id, id)] if id else []
            for session in sessions:
                for by in BY:
                    name = getattr(sessions_of[session], by) or ""
                    self._groups[by][session] = self._names.setdefault(name, name)
            sums = self._hours.setdefault(group.hour, {by: {} for by in BY})
            for by in BY:
                name = getattr(group, by)
                if any(spent := counts[_RECORDS:]):
                    sums[by].setdefault(name, _Sum()).count((*_NO_RECORDS, *spent), ())
                # Records that name no group count with their session.
                name = name or (self._groups[by][id] if id else "")
                records = (*counts[:_RECORDS], *_NOTHING_SPENT)
                sums[by].setdefault(name, _Sum()).count(records, sessions)
