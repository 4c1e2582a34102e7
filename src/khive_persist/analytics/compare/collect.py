"""The values of every metric, by group, from what is recorded."""

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.analytics.compare import grouping, metrics
from khive_persist.analytics.compare.experiment import Trial, read_trial
from khive_persist.analytics.compare.metric import Metric, Sample
from khive_persist.errors import InvalidQueryError
from khive_persist.project import Project
from khive_persist.sessions.facts import session_facts

# Of each more, only the name is kept; who asks by a session's own id wants something else.
MOST_GROUPS: Final = 10_000
_DAY_CHARACTERS: Final = 10


# Of each day of a group, as text: how many values, and their sum.
Days = dict[str, tuple[int, float]]


class Span(NamedTuple):
    """A time in which sessions start: `first` or later, and before `last`; None for no end."""

    first: str | None = None
    last: str | None = None

    def covers(self, started: str | None) -> bool:
        """Return whether an instant is in it; one that is not known only where it has no ends."""
        if started is None:
            return self.first is None and self.last is None
        is_after = self.first is None or started >= self.first
        return is_after and (self.last is None or started < self.last)


class Collected(NamedTuple):
    """What was collected.

    Attributes:
        by: What sessions are grouped by.
        groups: How many sessions each group has, in the order in which they are compared.
        samples: The values of each metric, by group.
        days: The values of each metric by group and day on which the session started, in UTC.
        sessions: How many sessions were looked at.
        ungrouped: How many of them lack what they are grouped by.
        unwanted: How many are of groups that were not asked for.
        pairs: How many pairs there are; None where none were asked for.
        span: In which time sessions started.
        experiment: The experiment by whose variants they are grouped, else None.
    """

    by: str
    groups: dict[str, int]
    samples: dict[Metric, dict[str, Sample]]
    days: dict[Metric, dict[str, Days]]
    sessions: int
    ungrouped: int
    unwanted: int
    pairs: int | None = None
    span: Span = Span()
    experiment: Trial | None = None


async def collect(
    project: Project,
    by: str,
    names: Sequence[str] = metrics.NAMES,
    *,
    groups: Sequence[str] = (),
    paired_by: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    with_late: bool = False,
) -> Collected:
    """Collect the values of all sessions, in memory of a number for each value.

    Args:
        project: Where.
        by: What sessions are grouped by, as `grouping.key` takes it.
        names: Metrics, as `metrics.measured` takes them.
        groups: Only these, in this order; else all, the largest first, or the variants of an
            experiment in their order.
        paired_by: What belongs together, as the same task: the mean of one group's sessions of it
            is set against that of the other's. It wants two groups.
        since: Sessions that started then or later.
        until: Sessions that started before.
        with_late: Also sessions whose variant of an experiment somebody named after their work
            had begun; otherwise they are only counted.

    Raises:
        InvalidQueryError: A name is unknown, there are too many groups, or pairs of not two.
        NotFoundError: There is no such experiment.
        StoreError: As its subclasses say.
    """
    group_of = grouping.key(by, with_late=with_late)
    trial = None
    if (experiment := grouping.experiment_of(by)) is not None:
        trial = await read_trial(project, experiment, with_late=with_late)
        groups = groups or list(trial.weights)
    pair_of = grouping.key(paired_by) if paired_by is not None else None
    wanted = [metrics.measured(name) for name in dict.fromkeys(names)]
    span = Span(
        None if since is None else clock.to_text(since),
        None if until is None else clock.to_text(until),
    )
    sizes: Counter[str] = Counter(dict.fromkeys(groups, 0))
    days: dict[Metric, dict[str, Days]] = {one.metric: {} for one in wanted}
    table = _Pairs(wanted) if pair_of is not None else _Singles(wanted)
    looked = ungrouped = unwanted = 0
    async with aclosing(session_facts(project)) as sessions:
        async for session in sessions:
            if not span.covers(session.started):
                continue
            looked += 1
            group = group_of(session)
            if trial is not None and trial.name in session.assignments:
                # It counts those that it leaves out, too.
                trial = trial.with_one(session.assignments[trial.name])
            elif group is None:
                ungrouped += 1
            if group is None:
                continue
            if groups and group not in groups:
                unwanted += 1
            else:
                sizes[group] += 1
                if len(sizes) > MOST_GROUPS:
                    raise InvalidQueryError(
                        f"{by} parts the sessions into more than {MOST_GROUPS:,} groups",
                        hint="name those that you mean",
                    )
                values = [measured.value(session) for measured in wanted]
                taken = table.add(group, None if pair_of is None else pair_of(session), values)
                if session.started is not None:
                    _count(days, taken, group, session.started[:_DAY_CHARACTERS])
    order = list(groups) or [name for name, _ in sizes.most_common()]
    if pair_of is not None and len(order) != 2:
        raise InvalidQueryError(
            f"pairs are of two groups, and there are {len(order)}", hint="name the two"
        )
    return Collected(
        by, {name: sizes[name] for name in order}, table.samples(order), days, looked, ungrouped,
        unwanted, table.pairs(order), span, trial,
    )  # fmt: skip


def _add(
    samples: list[Sample], values: Sequence[float | None], wanted: Sequence[metrics.Measured]
) -> dict[Metric, float]:
    """Add a session's values, and give those that were taken."""
    return {
        measured.metric: value
        for sample, value, measured in zip(samples, values, wanted, strict=True)
        if sample.add(value) and value is not None
    }


def _count(
    days: dict[Metric, dict[str, Days]], taken: dict[Metric, float], group: str, day: str
) -> None:
    for metric, value in taken.items():
        of_group = days[metric].setdefault(group, {})
        n, total = of_group.get(day, (0, 0.0))
        of_group[day] = (n + 1, total + value)


class _Singles:
    """Each session by itself."""

    def __init__(self, wanted: Sequence[metrics.Measured]) -> None:
        self._wanted = wanted
        self._samples: dict[str, list[Sample]] = {}

    def add(
        self, group: str, _pair: str | None, values: Sequence[float | None]
    ) -> dict[Metric, float]:
        samples = self._samples.setdefault(group, [Sample() for _ in self._wanted])
        return _add(samples, values, self._wanted)

    def samples(self, order: Sequence[str]) -> dict[Metric, dict[str, Sample]]:
        return {
            measured.metric: {
                group: self._samples[group][number] if group in self._samples else Sample()
                for group in order
            }
            for number, measured in enumerate(self._wanted)
        }

    def pairs(self, _order: Sequence[str]) -> int | None:
        return None


class _Pairs:
    """Sessions of one task together: the mean of each group."""

    def __init__(self, wanted: Sequence[metrics.Measured]) -> None:
        self._wanted = wanted
        self._values: dict[str, dict[str, list[Sample]]] = {}

    def add(
        self, group: str, pair: str | None, values: Sequence[float | None]
    ) -> dict[Metric, float]:
        if pair is None:
            return {}
        of_pair = self._values.setdefault(pair, {})
        samples = of_pair.setdefault(group, [Sample() for _ in self._wanted])
        return _add(samples, values, self._wanted)

    def samples(self, order: Sequence[str]) -> dict[Metric, dict[str, Sample]]:
        made = {one.metric: {group: Sample() for group in order} for one in self._wanted}
        for of_pair in self._values.values():
            for number, measured in enumerate(self._wanted):
                means = [self._mean(of_pair.get(group), number) for group in order]
                is_whole = None not in means
                for group, mean in zip(order, means, strict=True):
                    sample = made[measured.metric][group]
                    if is_whole:
                        sample.add(mean)
                    else:
                        sample.left_out[f"without a counterpart in {' or '.join(order)}"] += 1
        return made

    def pairs(self, order: Sequence[str]) -> int | None:
        return sum(all(group in of_pair for group in order) for of_pair in self._values.values())

    def _mean(self, samples: list[Sample] | None, number: int) -> float | None:
        values = samples[number].values if samples else ()
        return sum(values) / len(values) if values else None
