"""Experiments, as they are created and found."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from khive_persist.errors import ConflictError, NotFoundError
from khive_persist.models.experiment import Experiment, Variant
from khive_persist.models.faults import invalid
from khive_persist.models.query import column
from khive_persist.opening import open_store
from khive_persist.store.immutable import FixedStore, InsertResult

WEIGHT: Final = 1


async def create_experiment(
    name: str,
    variants: Mapping[str, float] | Iterable[str],
    *,
    note: str | None = None,
    dir: Path | str | None = None,
) -> Experiment:
    """Create an experiment: committed, synced and copied on return. It never changes from then on.

        await create_experiment("prompt", ["control", "new_prompt"])
        await create_experiment("model", {"old": 3, "new": 1})

    One that has this name already, and the same variants, is the one that was meant.

    Args:
        name: 1 to 100 ASCII letters, digits, `_`, `.` and `-`.
        variants: 2 to 100 names, of the same kind, each with its weight, or each of the weight 1.
            The first is the one to compare the others with.
        note: The subject of the experiment.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidRecordError: A name or a weight is wrong.
        ConflictError: The experiment of this name is another one; it stays.
        ProjectError: The project cannot be made.
        StoreError: As its subclasses say; it is not saved.
    """
    weighed = variants if isinstance(variants, Mapping) else dict.fromkeys(variants, WEIGHT)
    listed = [{"name": variant, "weight": weight} for variant, weight in weighed.items()]
    async with open_store(Experiment, dir=dir) as experiments:
        return (await define(experiments, name, listed, note)).record


async def define(
    experiments: FixedStore[Experiment], name: str, variants: object, note: str | None = None
) -> InsertResult[Experiment]:
    """Create an experiment in an open store, as `create_experiment` does.

    Args:
        experiments: The store.
        name: The name of the experiment.
        variants: The variants, as its content has them.
        note: The subject of the experiment.
    """
    about = {} if note is None else {"note": note}
    experiment = experiment_of({"name": name, "variants": variants, **about})
    inserted = await experiments.insert_if_absent(experiment)
    existing: Any = inserted.record.content
    content = experiments.stored_content(experiment)
    if any(existing.get(field) != content[field] for field in ("variants", *about)):
        raise ConflictError(
            f"the experiment {name!r} is there, and is another one: {described(existing)}",
            hint="it never changes: give yours another name",
        )
    return inserted


async def find_experiment(experiments: FixedStore[Experiment], name: str) -> Experiment:
    """Return the experiment of a name.

    Raises:
        NotFoundError: There is none.
        InvalidRecordError: Somebody has written it past the store, and it is none.
    """
    rows = await experiments.find(column("id") == name, limit=1)
    if not rows:
        raise missing(name)
    return experiment_of(rows[0].content)


def experiment_of(content: object) -> Experiment:
    """Return an experiment of this content.

    Raises:
        InvalidRecordError: It is not as it may be.
    """
    try:
        return Experiment.model_validate({"content": content})
    except ValidationError as error:
        raise invalid(error) from error


def missing(name: str) -> NotFoundError:
    """There is no experiment of this name."""
    hint = "make it with experiment create, before its first session"
    return NotFoundError(f"no experiment is named {name[:100]!r}", hint=hint)


def described(content: Mapping[str, Any]) -> str:
    """Return its variants and weights, on one line."""
    variants: list[Variant] = content.get("variants", [])
    return ", ".join(f"{variant['name']}={variant['weight']}" for variant in variants)
