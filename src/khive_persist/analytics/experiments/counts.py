"""The number of sessions of each variant of an experiment, by the method of assignment."""

from collections import defaultdict
from functools import partial
from typing import Any, NamedTuple

from khive_persist import clock
from khive_persist.analytics.experiments.create import made, missing
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidRecordError
from khive_persist.models.assignment import NAMED
from khive_persist.models.experiment import Experiment
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.models.query import column, field
from khive_persist.store import codec
from khive_persist.store.aggregates import Aggregate, Aggregation
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select


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


class _StoredExperiment(NamedTuple):
    id: str
    content: Any
    created_at: Any


async def count_experiments(reader: Reader, name: str | None = None) -> list[ExperimentCount]:
    """Return every experiment, or the one of a name, the oldest first.

    Args:
        reader: A reader of `EXPERIMENTS` and `ASSIGNMENTS`.

    Raises:
        NotFoundError: There is none of this name.
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch_as(_StoredExperiment, partial(_experiments, name))
    if name is not None and not rows:
        raise missing(name)
    assignments = _assignments(name)
    groups = await reader.fetch(lambda source: assignments.statement(source.only(ASSIGNMENTS.name)))
    counts: dict[str, dict[str, VariantCount]] = defaultdict(dict)
    for group in assignments.results(groups):
        of_experiment, variant = counts[group["experiment"]], group["variant"]
        count = of_experiment.get(variant, VariantCount(variant, None))
        word = "named" if group["method"] == NAMED else "random"
        updates = {word: getattr(count, word) + group["sessions"]}
        if group["is_late"]:
            updates[f"late_{word}"] = getattr(count, f"late_{word}") + group["sessions"]
        of_experiment[variant] = count._replace(**updates)
    return [_count(row, counts[row.id]) for row in rows]


def _count(row: _StoredExperiment, counts: dict[str, VariantCount]) -> ExperimentCount:
    at = clock.from_column(row.created_at)
    experiment = ExperimentCount(row.id, None if at is None else clock.to_text(at), None, [])
    try:
        content = made(Experiment, codec.column(row.content)).content
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


def _experiments(name: str | None, source: Source) -> Statement:
    filters = [] if name is None else [column("id") == name]
    order = [column("created_at"), column("id")]
    columns = f"id, {source.content} AS content, created_at"
    return select(source.only(EXPERIMENTS.name), filters, order, columns=columns)


def _assignments(name: str | None) -> Aggregation:
    # In the order of their index.
    groups = [field(path) for path in ("experiment", "variant", "method", "is_late")]
    filters = [] if name is None else [groups[0] == name]
    return Aggregation({"sessions": Aggregate.count()}, groups, filters)
