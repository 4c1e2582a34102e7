"""One plan among all plans: those that were as sure, and those of its kind."""

from pathlib import Path
from typing import NamedTuple

from khive_persist.analytics.calibration import Bin, CostError, bin_of
from khive_persist.analytics.outcomes import Calibration, PlanOutcome, calibration


class PlanStanding(NamedTuple):
    """The place of a plan among all plans, itself included.

    Attributes:
        calibration: The calibration of all plans.
        interval: The interval of confidence that the plan is of; None without a confidence from
            0 to 1.
        cost_by_complexity: The costs of the plans of its complexity; None where none are known.
        cost_by_pattern: The same of its workflow pattern.
    """

    calibration: Calibration
    interval: Bin | None
    cost_by_complexity: CostError | None
    cost_by_pattern: CostError | None


async def plan_standing(plan: PlanOutcome, *, dir: Path | str | None = None) -> PlanStanding:
    """Return the place of a plan among all of its project.

    Args:
        plan: The plan.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    result = await calibration(dir=dir)
    return PlanStanding(
        result,
        None if plan.confidence is None else bin_of(result.bins, plan.confidence),
        _group(result.cost_by_complexity, plan.complexity),
        _group(result.cost_by_pattern, plan.workflow_pattern),
    )


def _group(errors: list[CostError], name: str | None) -> CostError | None:
    return next((error for error in errors if error.group == name), None)
