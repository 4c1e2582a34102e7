"""The flight recorder of AI coding agents.

Importing this package imports nothing else: each name is brought in when it is first asked for.
"""

# `typing` would take longer to import than all the rest; type checkers know this name too.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from khive_persist.analysis.outcomes import calibration, outcomes
    from khive_persist.analysis.similar import similar_plans
    from khive_persist.analysis.verdicts import record_outcome
    from khive_persist.autosave import Autosave
    from khive_persist.callbacks import CallbackMetadata
    from khive_persist.copies import rebuild, verify
    from khive_persist.errors import KhiveError
    from khive_persist.exchange.files import load_document, save_document
    from khive_persist.experiments.assigning import assign
    from khive_persist.experiments.defining import create_experiment
    from khive_persist.opening import (
        ApplicationSession,
        Assignment,
        Experiment,
        FocusChain,
        HookEvent,
        Measurement,
        Message,
        Node,
        Outcome,
        PlannerSession,
        Score,
        open_store,
        save_planning_session,
    )
    from khive_persist.purposes import Purpose, purpose
    from khive_persist.query import column, field

__all__ = [
    "ApplicationSession",
    "Assignment",
    "Autosave",
    "CallbackMetadata",
    "Experiment",
    "FocusChain",
    "HookEvent",
    "KhiveError",
    "Measurement",
    "Message",
    "Node",
    "Outcome",
    "PlannerSession",
    "Purpose",
    "Score",
    "assign",
    "calibration",
    "column",
    "create_experiment",
    "field",
    "load_document",
    "open_store",
    "outcomes",
    "purpose",
    "rebuild",
    "record_outcome",
    "save_document",
    "save_planning_session",
    "similar_plans",
    "verify",
]

# Records come by way of opening, which lets their own calls (`await session.save()`) open a store.
_HOMES = {
    "ApplicationSession": "opening",
    "Assignment": "opening",
    "Autosave": "autosave",
    "CallbackMetadata": "callbacks",
    "Experiment": "opening",
    "FocusChain": "opening",
    "HookEvent": "opening",
    "KhiveError": "errors",
    "Measurement": "opening",
    "Message": "opening",
    "Node": "opening",
    "Outcome": "opening",
    "PlannerSession": "opening",
    "Purpose": "purposes",
    "Score": "opening",
    "assign": "experiments.assigning",
    "calibration": "analysis.outcomes",
    "column": "query",
    "create_experiment": "experiments.defining",
    "field": "query",
    "load_document": "exchange.files",
    "open_store": "opening",
    "outcomes": "analysis.outcomes",
    "purpose": "purposes",
    "rebuild": "copies",
    "record_outcome": "analysis.verdicts",
    "save_document": "exchange.files",
    "save_planning_session": "opening",
    "similar_plans": "analysis.similar",
    "verify": "copies",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
