"""The flight recorder of AI coding agents.

Importing this package imports nothing else: each name is brought in when it is first asked for.
"""

# `typing` would take longer to import than all the rest; type checkers know this name too.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from khive_persist.analytics.experiments.assign import assign
    from khive_persist.analytics.experiments.create import create_experiment
    from khive_persist.analytics.outcomes import calibration, outcomes
    from khive_persist.analytics.similar import similar_plans
    from khive_persist.copies import (
        Difference,
        Rebuilt,
        Tally,
        Verified,
        rebuild,
        verify,
    )
    from khive_persist.errors import (
        AmbiguousStoreError,
        BackupDamagedError,
        BackupError,
        CaptureError,
        CompletedError,
        ConflictError,
        EmissionError,
        InvalidFileError,
        InvalidQueryError,
        InvalidRecordError,
        InvalidSettingsError,
        KhiveError,
        MirrorError,
        MissingExtraError,
        NotFoundError,
        ProjectError,
        StoreBusyError,
        StoreClosedError,
        StoreDamagedError,
        StoreError,
        StoreFullError,
        StoreNewerError,
        StoreUnavailableError,
        UntrustedError,
        VersionError,
    )
    from khive_persist.maintenance.backup.backups import (
        create_backup,
        list_backups,
        prune_backups,
        restore_backup,
        verify_backups,
    )
    from khive_persist.maintenance.backup.catalogue import Catalogue
    from khive_persist.maintenance.backup.manifest import Manifest
    from khive_persist.maintenance.backup.restore import Restored
    from khive_persist.maintenance.backup.verify import VerifiedBackup
    from khive_persist.maintenance.retention.prune import Pruned
    from khive_persist.maintenance.retention.purge import Purged
    from khive_persist.maintenance.retention.removal import prune, purge, rescan
    from khive_persist.maintenance.retention.rescan import Rescanned
    from khive_persist.models.paths import RecordPaths
    from khive_persist.models.purposes import Purpose, purpose
    from khive_persist.models.query import Field, Filter, Order, column, field
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
    from khive_persist.sessions.projects import ProjectSummary, list_projects
    from khive_persist.sessions.verdicts import record_outcome
    from khive_persist.sql_query import (
        QueryResult,
        list_tables,
        query_sql,
    )
    from khive_persist.store.aggregates import Aggregate
    from khive_persist.store.application_sessions import ApplicationSessionStore
    from khive_persist.store.autosave import Autosave
    from khive_persist.store.callbacks import (
        Callback,
        CallbackMetadata,
        CallbackOptions,
        ErrorCallback,
    )
    from khive_persist.store.focus_chains import FocusChainStore
    from khive_persist.store.hook_events import HookEventStore
    from khive_persist.store.immutable import FixedStore
    from khive_persist.store.planner_sessions import PlannerSessionStore
    from khive_persist.store.sqlite.catalogue import Table, TableColumn
    from khive_persist.store.store import Store
    from khive_persist.store.time_series import TimedStore
    from khive_persist.transcripts.collection import (
        Collected,
        sync,
    )
    from khive_persist.transfer.files import load_document, save_document
    from khive_persist.transfer.import_ import Imported
    from khive_persist.transfer.transfer import export_records, import_records

__all__ = [
    "Aggregate",
    "AmbiguousStoreError",
    "ApplicationSession",
    "ApplicationSessionStore",
    "Assignment",
    "Autosave",
    "BackupDamagedError",
    "BackupError",
    "Callback",
    "CallbackMetadata",
    "CallbackOptions",
    "CaptureError",
    "Catalogue",
    "Collected",
    "CompletedError",
    "ConflictError",
    "Difference",
    "EmissionError",
    "ErrorCallback",
    "Experiment",
    "Field",
    "Filter",
    "FixedStore",
    "FocusChain",
    "FocusChainStore",
    "HookEvent",
    "HookEventStore",
    "Imported",
    "InvalidFileError",
    "InvalidQueryError",
    "InvalidRecordError",
    "InvalidSettingsError",
    "KhiveError",
    "Manifest",
    "Measurement",
    "Message",
    "MirrorError",
    "MissingExtraError",
    "Node",
    "NotFoundError",
    "Order",
    "Outcome",
    "PlannerSession",
    "PlannerSessionStore",
    "ProjectError",
    "ProjectSummary",
    "Pruned",
    "Purged",
    "Purpose",
    "QueryResult",
    "Rebuilt",
    "RecordPaths",
    "Rescanned",
    "Restored",
    "Score",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreNewerError",
    "StoreUnavailableError",
    "Table",
    "TableColumn",
    "Tally",
    "TimedStore",
    "UntrustedError",
    "Verified",
    "VerifiedBackup",
    "VersionError",
    "assign",
    "calibration",
    "column",
    "create_backup",
    "create_experiment",
    "export_records",
    "field",
    "import_records",
    "list_backups",
    "list_projects",
    "list_tables",
    "load_document",
    "open_store",
    "outcomes",
    "prune",
    "prune_backups",
    "purge",
    "purpose",
    "query_sql",
    "rebuild",
    "record_outcome",
    "rescan",
    "restore_backup",
    "save_document",
    "save_planning_session",
    "similar_plans",
    "sync",
    "verify",
    "verify_backups",
]

# Records come by way of opening, which lets their own calls (`await session.save()`) open a store.
_HOMES = {
    "Aggregate": "store.aggregates",
    "AmbiguousStoreError": "errors",
    "ApplicationSession": "opening",
    "ApplicationSessionStore": "store.application_sessions",
    "Assignment": "opening",
    "Autosave": "store.autosave",
    "BackupDamagedError": "errors",
    "BackupError": "errors",
    "Callback": "store.callbacks",
    "CallbackMetadata": "store.callbacks",
    "CallbackOptions": "store.callbacks",
    "CaptureError": "errors",
    "Catalogue": "maintenance.backup.catalogue",
    "Collected": "transcripts.collection",
    "CompletedError": "errors",
    "ConflictError": "errors",
    "Difference": "copies",
    "EmissionError": "errors",
    "ErrorCallback": "store.callbacks",
    "Experiment": "opening",
    "Field": "models.query",
    "Filter": "models.query",
    "FixedStore": "store.immutable",
    "FocusChain": "opening",
    "FocusChainStore": "store.focus_chains",
    "HookEvent": "opening",
    "HookEventStore": "store.hook_events",
    "Imported": "transfer.import_",
    "InvalidFileError": "errors",
    "InvalidQueryError": "errors",
    "InvalidRecordError": "errors",
    "InvalidSettingsError": "errors",
    "KhiveError": "errors",
    "Manifest": "maintenance.backup.manifest",
    "Measurement": "opening",
    "Message": "opening",
    "MirrorError": "errors",
    "MissingExtraError": "errors",
    "Node": "opening",
    "NotFoundError": "errors",
    "Order": "models.query",
    "Outcome": "opening",
    "ProjectError": "errors",
    "ProjectSummary": "sessions.projects",
    "PlannerSession": "opening",
    "PlannerSessionStore": "store.planner_sessions",
    "Pruned": "maintenance.retention.prune",
    "Purged": "maintenance.retention.purge",
    "Purpose": "models.purposes",
    "QueryResult": "sql_query",
    "Rebuilt": "copies",
    "RecordPaths": "models.paths",
    "Rescanned": "maintenance.retention.rescan",
    "Restored": "maintenance.backup.restore",
    "Score": "opening",
    "Store": "store.store",
    "StoreBusyError": "errors",
    "StoreClosedError": "errors",
    "StoreDamagedError": "errors",
    "StoreError": "errors",
    "StoreFullError": "errors",
    "StoreNewerError": "errors",
    "StoreUnavailableError": "errors",
    "Table": "store.sqlite.catalogue",
    "TableColumn": "store.sqlite.catalogue",
    "Tally": "copies",
    "TimedStore": "store.time_series",
    "UntrustedError": "errors",
    "Verified": "copies",
    "VerifiedBackup": "maintenance.backup.verify",
    "VersionError": "errors",
    "assign": "analytics.experiments.assign",
    "calibration": "analytics.outcomes",
    "column": "models.query",
    "create_backup": "maintenance.backup.backups",
    "create_experiment": "analytics.experiments.create",
    "export_records": "transfer.transfer",
    "field": "models.query",
    "import_records": "transfer.transfer",
    "list_backups": "maintenance.backup.backups",
    "list_projects": "sessions.projects",
    "list_tables": "sql_query",
    "load_document": "transfer.files",
    "open_store": "opening",
    "outcomes": "analytics.outcomes",
    "prune": "maintenance.retention.removal",
    "prune_backups": "maintenance.backup.backups",
    "purge": "maintenance.retention.removal",
    "purpose": "models.purposes",
    "query_sql": "sql_query",
    "rebuild": "copies",
    "record_outcome": "sessions.verdicts",
    "rescan": "maintenance.retention.removal",
    "restore_backup": "maintenance.backup.backups",
    "save_document": "transfer.files",
    "save_planning_session": "opening",
    "similar_plans": "analytics.similar",
    "sync": "transcripts.collection",
    "verify": "copies",
    "verify_backups": "maintenance.backup.backups",
}


_RENAMED = {"PlaceError": "ProjectError"}


def __getattr__(name: str) -> object:
    if name in _RENAMED:
        import warnings

        renamed = _RENAMED[name]
        warnings.warn(f"{name} is called {renamed} now", DeprecationWarning, stacklevel=2)
        name = renamed
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
