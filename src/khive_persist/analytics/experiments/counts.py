"""The number of sessions of each variant of an experiment, by the method of assignment."""

from collections import defaultdict
from typing import Any, NamedTuple

from khive_persist import clock
from khive_persist.analytics.experiments.create import experiment_of, missing
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidRecordError
from khive_persist.models.assignment import NAMED
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.models.query import column, field
from khive_persist.store import codec
from khive_persist.store.aggregates import Aggregate, Aggregation
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select


class VariantCount(NamedTuple):
    """One variant, and its sessions.

    Attributes:
        name: The variant's.
        weight: None for one that is assigned, and that the experiment does not have.
        random: Sessions to which it was assigned at random.
        named: Sessions for which somebody named it.
        late_random: Those of `random` whose work had begun.
        late_named: Those of `named` whose work had begun.
    """

    name: str
    weight: float | None
    random: int = 0
    named: int = 0
    late_random: int = 0
    late_named: int = 0


class ExperimentCount(NamedTuple):
    """An experiment: its variants in their order."""

    name: str
    created_at: InstantText | None
    note: str | None
    variants: list[VariantCount]


async def count_experiments(reader: Reader, name: str | None = None) -> list[ExperimentCount]:
    """Return every experiment, or the one of a name, the oldest first.

    Args:
        reader: A reader of `EXPERIMENTS` and `ASSIGNMENTS`.
        name: The only experiment to count.

    Raises:
        NotFoundError: There is none of this name.
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(lambda source: _experiments(source, name))
    if name is not None and not rows:
        raise missing(name)
    counts: dict[str, dict[str, VariantCount]] = defaultdict(dict)
    for experiment, variant, method, is_late, sessions, _ in await reader.fetch(
        lambda source: _assignments(source, name)
    ):
        of_experiment = counts[experiment]
        count = of_experiment.get(variant, VariantCount(variant, None))
        word = "named" if method == NAMED else "random"
        updates = {word: getattr(count, word) + sessions}
        if is_late:
            updates[f"late_{word}"] = getattr(count, f"late_{word}") + sessions
        of_experiment[variant] = count._replace(**updates)
    return [_count(id, text, at, counts[id]) for id, text, at in rows]


def _count(
    name: str, text: Any, created_at: Any, counts: dict[str, VariantCount]
) -> ExperimentCount:
    at = clock.from_column(created_at)
    experiment = ExperimentCount(name, None if at is None else clock.to_text(at), None, [])
    try:
        content = experiment_of(codec.column(text)).content
    except InvalidRecordError:
        # Written past the store: it has no variants that anybody could assign.
        return experiment._replace(variants=[*counts.values()])
    variants = [
        counts.pop(variant["name"], VariantCount(variant["name"], None))._replace(
            weight=variant["weight"]
        )
        for variant in content["variants"]
    ]
    return experiment._replace(note=content.get("note"), variants=[*variants, *counts.values()])


def _experiments(source: Source, name: str | None) -> Statement:
    filters = [] if name is None else [column("id") == name]
    order = [column("created_at"), column("id")]
    columns = f"id, {source.content}, created_at"
    return select(source.only(EXPERIMENTS.name), filters, order, columns=columns)


def _assignments(source: Source, name: str | None) -> Statement:
    # In the order of their index.
    groups = [field(path) for path in ("experiment", "variant", "method", "is_late")]
    filters = [] if name is None else [groups[0] == name]
    counts = Aggregation({"sessions": Aggregate.count()}, groups, filters)
    return counts.statement(source.only(ASSIGNMENTS.name))
