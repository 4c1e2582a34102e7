"""The values of every metric, by group, from what is recorded."""

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.analytics.compare import grouping, metrics
from khive_persist.analytics.compare.comparison import ExperimentAssignments, Span
from khive_persist.analytics.compare.experiment import read_experiment, remarks
from khive_persist.analytics.compare.metric import Metric, Sample
from khive_persist.errors import InvalidQueryError
from khive_persist.project import Project
from khive_persist.sessions.activity import DAY_CHARACTERS
from khive_persist.sessions.facts import session_facts

# Of each more, only the name is kept; who asks by a session's own id wants something else.
MOST_GROUPS: Final = 10_000


# Of each day of a group, as text: how many values, and their sum.
Days = dict[str, tuple[int, float]]


class CollectedSamples(NamedTuple):
    """The samples that were collected, and what `Comparison` says of their sessions.

    Attributes:
        samples: The values of each metric, by group.
        days: The values of each metric by group and day on which the session started, in UTC.
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
    experiment: ExperimentAssignments | None = None


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
) -> CollectedSamples:
    """Collect the values of all sessions, in memory of a number for each value.

    Args:
        by: The field that sessions are grouped by, as `grouping.key` takes it.
        names: The metrics, as `metrics.measured` takes them.
        groups: The groups to compare, in this order; else all, the largest first, or the variants
            of an experiment in their order.
        paired_by: The field that belongs together, as the same task: the mean of one group's
            sessions of it is set against that of the other's. It needs two groups.
        with_late: Whether sessions count whose variant of an experiment somebody named after
            their work had begun; otherwise they are only reported.

    Raises:
        InvalidQueryError: A name is unknown, there are too many groups, or pairs of not two.
        NotFoundError: There is no such experiment.
        StoreError: As its subclasses say.
    """
    group_of = grouping.key(by, with_late=with_late)
    assignments = None
    if (experiment_name := grouping.experiment_of(by)) is not None:
        assignments = await read_experiment(project, experiment_name, with_late=with_late)
        groups = groups or list(assignments.weights)
    pair_of = grouping.key(paired_by) if paired_by is not None else None
    selected = [metrics.measured(name) for name in dict.fromkeys(names)]
    span = Span(
        None if since is None else clock.to_text(since),
        None if until is None else clock.to_text(until),
    )
    sizes: Counter[str] = Counter(dict.fromkeys(groups, 0))
    days: dict[Metric, dict[str, Days]] = {measured.metric: {} for measured in selected}
    table = _Sessions(selected)
    examined = ungrouped = unwanted = 0
    async with aclosing(session_facts(project)) as sessions:
        async for session in sessions:
            if not span.covers(session.started):
                continue
            examined += 1
            group = group_of(session)
            if assignments is not None and assignments.name in session.assignments:
                # It counts those that it leaves out, too.
                assignments = assignments.with_one(session.assignments[assignments.name])
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
                values = [measured.value(session) for measured in selected]
                pair = "" if pair_of is None else pair_of(session)
                accepted = {} if pair is None else table.add(group, pair, values)
                if session.started is not None:
                    _count(days, accepted, group, session.started[:DAY_CHARACTERS])
    order = list(groups) or [name for name, _ in sizes.most_common()]
    if pair_of is not None and len(order) != 2:
        raise InvalidQueryError(
            f"pairs are of two groups, and there are {len(order)}", hint="name the two"
        )
    if assignments is not None:
        assignments = assignments._replace(remarks=tuple(remarks(assignments)))
    samples = table.single(order) if pair_of is None else table.paired(order)
    pairs = None if pair_of is None else table.pairs(order)
    return CollectedSamples(
        by, {name: sizes[name] for name in order}, samples, days, examined, ungrouped, unwanted,
        pairs, span, assignments,
    )  # fmt: skip


def _count(
    days: dict[Metric, dict[str, Days]], accepted: dict[Metric, float], group: str, day: str
) -> None:
    for metric, value in accepted.items():
        of_group = days[metric].setdefault(group, {})
        n, total = of_group.get(day, (0, 0.0))
        of_group[day] = (n + 1, total + value)


class _Sessions:
    """The samples of sessions by themselves, or of those of one task together."""

    def __init__(self, selected: Sequence[metrics.MeasuredMetric]) -> None:
        self._selected = selected
        self._values: dict[str, dict[str, list[Sample]]] = {}

    def add(self, group: str, pair: str, values: Sequence[float | None]) -> dict[Metric, float]:
        """Add a session's values, and return those that were taken."""
        of_pair = self._values.setdefault(pair, {})
        samples = of_pair.setdefault(group, [Sample() for _ in self._selected])
        return {
            measured.metric: value
            for sample, value, measured in zip(samples, values, self._selected, strict=True)
            if sample.add(value) and value is not None
        }

    def single(self, order: Sequence[str]) -> dict[Metric, dict[str, Sample]]:
        """Return every value of each group."""
        of_all = self._values.get("", {})
        return {
            measured.metric: {
                group: of_all[group][number] if group in of_all else Sample() for group in order
            }
            for number, measured in enumerate(self._selected)
        }

    def paired(self, order: Sequence[str]) -> dict[Metric, dict[str, Sample]]:
        """Return the mean of each task in each group."""
        pair_samples = {
            measured.metric: {group: Sample() for group in order} for measured in self._selected
        }
        for of_pair in self._values.values():
            for number, measured in enumerate(self._selected):
                means = [self._mean(of_pair.get(group), number) for group in order]
                is_whole = None not in means
                for group, mean in zip(order, means, strict=True):
                    sample = pair_samples[measured.metric][group]
                    if is_whole:
                        sample.add(mean)
                    else:
                        sample.left_out[f"without a counterpart in {' or '.join(order)}"] += 1
        return pair_samples

    def pairs(self, order: Sequence[str]) -> int:
        return sum(all(group in of_pair for group in order) for of_pair in self._values.values())

    def _mean(self, samples: list[Sample] | None, number: int) -> float | None:
        values = samples[number].values if samples else ()
        return sum(values) / len(values) if values else None
