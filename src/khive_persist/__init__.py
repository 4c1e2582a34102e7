"""The flight recorder of AI coding agents.

Importing this package imports nothing else: each name is brought in when it is first asked for.
"""

# `typing` would take longer to import than all the rest; type checkers know this name too.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from khive_persist.autosave import Autosave
    from khive_persist.callbacks import CallbackMetadata
    from khive_persist.copies import rebuild, verify
    from khive_persist.errors import KhiveError
    from khive_persist.exchange.files import load_document, save_document
    from khive_persist.opening import (
        FocusChain,
        HookEvent,
        Message,
        Node,
        PlannerSession,
        open_store,
        save_planning_session,
    )
    from khive_persist.purposes import Purpose, purpose
    from khive_persist.query import column, field

__all__ = [
    "Autosave",
    "CallbackMetadata",
    "FocusChain",
    "HookEvent",
    "KhiveError",
    "Message",
    "Node",
    "PlannerSession",
    "Purpose",
    "column",
    "field",
    "load_document",
    "open_store",
    "purpose",
    "rebuild",
    "save_document",
    "save_planning_session",
    "verify",
]

# Records come by way of opening, which lets their own calls (`await session.save()`) open a store.
_HOMES = {
    "Autosave": "autosave",
    "CallbackMetadata": "callbacks",
    "FocusChain": "opening",
    "HookEvent": "opening",
    "KhiveError": "errors",
    "Message": "opening",
    "Node": "opening",
    "PlannerSession": "opening",
    "Purpose": "purposes",
    "column": "query",
    "field": "query",
    "load_document": "exchange.files",
    "open_store": "opening",
    "purpose": "purposes",
    "rebuild": "copies",
    "save_document": "exchange.files",
    "save_planning_session": "opening",
    "verify": "copies",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
