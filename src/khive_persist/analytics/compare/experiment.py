"""The experiment by whose variants sessions are grouped, and the remarks on it."""

from collections.abc import Iterator

from khive_persist.analytics.compare.comparison import ExperimentAssignments
from khive_persist.analytics.compare.statistics.p_values import p_text
from khive_persist.analytics.compare.statistics.ratio import check_ratio
from khive_persist.analytics.experiments.counts import count_experiments
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.opening import reading
from khive_persist.project import Project


async def read_experiment(project: Project, name: str, *, with_late: bool) -> ExperimentAssignments:
    """Return an experiment, before any session is looked at.

    Raises:
        NotFoundError: There is none of this name.
        StoreError: As its subclasses say.
    """
    async with reading(project, EXPERIMENTS, ASSIGNMENTS) as reader:
        (count,) = await count_experiments(reader, name)
    weights = {
        variant.name: variant.weight for variant in count.variants if variant.weight is not None
    }
    assigned = sum(variant.random + variant.named for variant in count.variants)
    return ExperimentAssignments(name, weights, with_late=with_late, assigned=assigned)


def definition(experiment: ExperimentAssignments) -> str:
    """Return what the groups are, in a sentence without its full stop."""
    return (
        f"the variant of the experiment {experiment.name} that a session was assigned"
        f" ({_weights(experiment)})"
    )


def remarks(experiment: ExperimentAssignments) -> Iterator[str]:
    """Yield what a report of it says, a sentence each."""
    yield f"Experiment {experiment.name}, with the weights {_weights(experiment)}."
    if experiment.late_named:
        treatment = "taken in all the same" if experiment.with_late else "left out"
        yield (
            f"{_sessions(experiment.late_named)} assigned late, by name, and"
            f" {'are' if experiment.late_named > 1 else 'is'} {treatment}."
        )
    if experiment.late_random:
        yield f"{_sessions(experiment.late_random)} assigned late, at random: nobody chose."
    if experiment.named:
        yield (
            f"{_sessions(experiment.named)} assigned by name: whoever did may have chosen by what"
            " matters here, too."
        )
    if experiment.assigned > experiment.seen:
        yield (
            f"{_sessions(experiment.assigned - experiment.seen)} assigned and not looked at:"
            " nothing else is recorded of them, or not of the time that was asked for."
        )
    drawn = [experiment.drawn.get(name, 0) for name in experiment.weights]
    check = check_ratio(drawn, [*experiment.weights.values()]) if drawn else None
    if check is not None and check.p is not None and check.is_mismatch:
        yield (
            f"The sessions that drew their variant do not fit the weights ({p_text(check.p)}):"
            " something loses sessions of one variant more than of another, so that a difference"
            " between the groups may come of that."
        )


def _weights(experiment: ExperimentAssignments) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in experiment.weights.items())


def _sessions(count: int) -> str:
    return f"{count} sessions were" if count > 1 else "1 session was"
