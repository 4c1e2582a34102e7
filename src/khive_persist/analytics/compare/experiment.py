"""The experiment by whose variants sessions are grouped, and what is to be said of it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from khive_persist.analytics.compare.grouping import is_chosen_late
from khive_persist.analytics.compare.statistics.p_values import said
from khive_persist.analytics.compare.statistics.ratio import check_ratio
from khive_persist.analytics.experiments.counts import count_experiments
from khive_persist.models.assignment import NAMED
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.facts import Assigned


class Trial(NamedTuple):
    """An experiment, and how the sessions that were looked at came to their variants.

    Attributes:
        name: The experiment's.
        weights: Of its variants, in their order.
        late_named: Sessions that somebody gave their variant once their work had begun.
        late_random: Sessions that drew theirs once their work had begun; they are taken in.
        with_late: Whether those of `late_named` are taken in, too.
        named: Sessions that were given theirs before their work began.
        drawn: Sessions that drew theirs, by variant.
        seen: Sessions that were looked at and have a variant.
        assigned: Sessions that have one at all, also those of which nothing else is recorded.
    """

    name: str
    weights: dict[str, float]
    late_named: int = 0
    late_random: int = 0
    with_late: bool = False
    named: int = 0
    drawn: Mapping[str, int] = {}
    seen: int = 0
    assigned: int = 0

    def with_one(self, assigned: Assigned) -> "Trial":
        """It with one more session that was looked at."""
        more = self._replace(seen=self.seen + 1)
        if is_chosen_late(assigned):
            return more._replace(late_named=self.late_named + 1)
        if assigned.method == NAMED:
            return more._replace(named=self.named + 1)
        count = self.drawn.get(assigned.variant, 0) + 1
        return more._replace(
            drawn={**self.drawn, assigned.variant: count},
            late_random=self.late_random + assigned.is_late,
        )


async def read_trial(project: Project, name: str, *, with_late: bool) -> Trial:
    """An experiment, before any session is looked at.

    Raises:
        NotFoundError: There is none of this name.
        StoreError: As its subclasses say.
    """
    async with reading(project, EXPERIMENTS, ASSIGNMENTS) as reader:
        (found,) = await count_experiments(reader, name)
    own = {variant.name: variant.weight for variant in found.variants if variant.weight is not None}
    assigned = sum(variant.random + variant.named for variant in found.variants)
    return Trial(name, own, with_late=with_late, assigned=assigned)


def definition(trial: Trial) -> str:
    """Return what the groups are, in a sentence without its full stop."""
    return (
        f"the variant of the experiment {trial.name} that a session was assigned"
        f" ({_weights(trial)})"
    )


def remarks(trial: Trial) -> Iterator[str]:
    """Yield what a report of it says, a sentence each."""
    yield f"Experiment {trial.name}, with the weights {_weights(trial)}."
    if trial.late_named:
        kept = "taken in all the same" if trial.with_late else "left out"
        yield (
            f"{_sessions(trial.late_named)} assigned late, by name, and"
            f" {'are' if trial.late_named > 1 else 'is'} {kept}."
        )
    if trial.late_random:
        yield f"{_sessions(trial.late_random)} assigned late, at random: nobody chose."
    if trial.named:
        yield (
            f"{_sessions(trial.named)} assigned by name: whoever did may have chosen by what"
            " matters here, too."
        )
    if trial.assigned > trial.seen:
        yield (
            f"{_sessions(trial.assigned - trial.seen)} assigned and not looked at: nothing else is"
            " recorded of them, or not of the time that was asked for."
        )
    own = [(trial.drawn.get(name, 0), weight) for name, weight in trial.weights.items()]
    check = check_ratio([count for count, _ in own], [weight for _, weight in own]) if own else None
    if check is not None and check.p is not None and check.is_mismatch:
        yield (
            f"The sessions that drew their variant do not fit the weights ({said(check.p)}):"
            " something loses sessions of one variant more than of another, so that a difference"
            " between the groups may come of that."
        )


def _weights(trial: Trial) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in trial.weights.items())


def _sessions(count: int) -> str:
    return f"{count} sessions were" if count > 1 else "1 session was"
