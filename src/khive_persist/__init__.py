"""The flight recorder of AI coding agents.

Importing this package imports nothing else: each name is brought in when it is first asked for.
"""

# `typing` would take longer to import than all the rest; type checkers know this name too.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from khive_persist.analytics.experiments.assign import assign as assign
    from khive_persist.analytics.experiments.create import create_experiment as create_experiment
    from khive_persist.analytics.outcomes import calibration as calibration
    from khive_persist.analytics.outcomes import outcomes as outcomes
    from khive_persist.analytics.similar import similar_plans as similar_plans
    from khive_persist.copies import Verified as Verified
    from khive_persist.copies import rebuild as rebuild
    from khive_persist.copies import rebuild_search as rebuild_search
    from khive_persist.copies import verify as verify
    from khive_persist.errors import AmbiguousStoreError as AmbiguousStoreError
    from khive_persist.errors import BackupDamagedError as BackupDamagedError
    from khive_persist.errors import BackupError as BackupError
    from khive_persist.errors import CaptureError as CaptureError
    from khive_persist.errors import CompletedError as CompletedError
    from khive_persist.errors import ConflictError as ConflictError
    from khive_persist.errors import DestinationError as DestinationError
    from khive_persist.errors import EmissionError as EmissionError
    from khive_persist.errors import InvalidFileError as InvalidFileError
    from khive_persist.errors import InvalidQueryError as InvalidQueryError
    from khive_persist.errors import InvalidRecordError as InvalidRecordError
    from khive_persist.errors import InvalidSettingsError as InvalidSettingsError
    from khive_persist.errors import KhiveError as KhiveError
    from khive_persist.errors import MirrorError as MirrorError
    from khive_persist.errors import MissingExtraError as MissingExtraError
    from khive_persist.errors import NotFoundError as NotFoundError
    from khive_persist.errors import ProjectError as ProjectError
    from khive_persist.errors import StoreBusyError as StoreBusyError
    from khive_persist.errors import StoreClosedError as StoreClosedError
    from khive_persist.errors import StoreDamagedError as StoreDamagedError
    from khive_persist.errors import StoreError as StoreError
    from khive_persist.errors import StoreFullError as StoreFullError
    from khive_persist.errors import StoreNewerError as StoreNewerError
    from khive_persist.errors import StoreUnavailableError as StoreUnavailableError
    from khive_persist.errors import UntrustedError as UntrustedError
    from khive_persist.errors import VersionError as VersionError
    from khive_persist.maintenance.backup.backups import create_backup as create_backup
    from khive_persist.maintenance.backup.backups import list_backups as list_backups
    from khive_persist.maintenance.backup.backups import prune_backups as prune_backups
    from khive_persist.maintenance.backup.backups import restore_backup as restore_backup
    from khive_persist.maintenance.backup.backups import verify_backups as verify_backups
    from khive_persist.maintenance.backup.catalogue import Catalogue as Catalogue
    from khive_persist.maintenance.backup.manifest import Manifest as Manifest
    from khive_persist.maintenance.backup.restore import Restored as Restored
    from khive_persist.maintenance.backup.verify import VerifiedBackup as VerifiedBackup
    from khive_persist.maintenance.retention.prune import Pruned as Pruned
    from khive_persist.maintenance.retention.purge import Purged as Purged
    from khive_persist.maintenance.retention.removal import prune as prune
    from khive_persist.maintenance.retention.removal import purge as purge
    from khive_persist.maintenance.retention.removal import rescan as rescan
    from khive_persist.maintenance.retention.rescan import Rescanned as Rescanned
    from khive_persist.mirror.rebuild import Rebuilt as Rebuilt
    from khive_persist.mirror.verify import Tally as Tally
    from khive_persist.models.application_session import ApplicationSession as ApplicationSession
    from khive_persist.models.assignment import Assignment as Assignment
    from khive_persist.models.experiment import Experiment as Experiment
    from khive_persist.models.focus_chain import FocusChain as FocusChain
    from khive_persist.models.hook_event import HookEvent as HookEvent
    from khive_persist.models.measurement import Measurement as Measurement
    from khive_persist.models.message import Message as Message
    from khive_persist.models.node import Node as Node
    from khive_persist.models.node import RecordPaths as RecordPaths
    from khive_persist.models.outcome import Outcome as Outcome
    from khive_persist.models.planner_session import PlannerSession as PlannerSession
    from khive_persist.models.purposes import Purpose as Purpose
    from khive_persist.models.purposes import purpose as purpose
    from khive_persist.models.query import Field as Field
    from khive_persist.models.query import Filter as Filter
    from khive_persist.models.query import Order as Order
    from khive_persist.models.query import column as column
    from khive_persist.models.query import field as field
    from khive_persist.models.score import Score as Score
    from khive_persist.opening import open_store as open_store
    from khive_persist.opening import save_planning_session as save_planning_session
    from khive_persist.search_index.result import Mark as Mark
    from khive_persist.search_index.result import SearchHit as SearchHit
    from khive_persist.search_index.result import SearchResult as SearchResult
    from khive_persist.search_index.result import SessionHits as SessionHits
    from khive_persist.search_index.result import VectorsState as VectorsState
    from khive_persist.search_index.state import IndexState as IndexState
    from khive_persist.sessions.file_history import FileHistory as FileHistory
    from khive_persist.sessions.file_history import search_file as search_file
    from khive_persist.sessions.fixes import FixResult as FixResult
    from khive_persist.sessions.fixes import search_fixes as search_fixes
    from khive_persist.sessions.projects import ProjectSummary as ProjectSummary
    from khive_persist.sessions.projects import list_projects as list_projects
    from khive_persist.sessions.search import search as search
    from khive_persist.sessions.searcher import Searcher as Searcher
    from khive_persist.sessions.verdicts import record_outcome as record_outcome
    from khive_persist.sql_query import QueryResult as QueryResult
    from khive_persist.sql_query import list_tables as list_tables
    from khive_persist.sql_query import query_sql as query_sql
    from khive_persist.store.aggregates import Aggregate as Aggregate
    from khive_persist.store.application_sessions import (
        ApplicationSessionStore as ApplicationSessionStore,
    )
    from khive_persist.store.autosave import Autosave as Autosave
    from khive_persist.store.callbacks import Callback as Callback
    from khive_persist.store.callbacks import CallbackMetadata as CallbackMetadata
    from khive_persist.store.callbacks import CallbackOptions as CallbackOptions
    from khive_persist.store.callbacks import ErrorCallback as ErrorCallback
    from khive_persist.store.focus_chains import FocusChainStore as FocusChainStore
    from khive_persist.store.hook_events import HookEventStore as HookEventStore
    from khive_persist.store.immutable import FixedStore as FixedStore
    from khive_persist.store.planner_sessions import PlannerSessionStore as PlannerSessionStore
    from khive_persist.store.sqlite.catalogue import Table as Table
    from khive_persist.store.sqlite.catalogue import TableColumn as TableColumn
    from khive_persist.store.sqlite.comparison_index import Difference as Difference
    from khive_persist.store.sqlite.team.ledger import OffSession as OffSession
    from khive_persist.store.sqlite.team.ledger import Total as Total
    from khive_persist.store.sqlite.team.ledger import Unsent as Unsent
    from khive_persist.store.store import Store as Store
    from khive_persist.store.time_series import TimedStore as TimedStore
    from khive_persist.team.program import push as push
    from khive_persist.team.program import team_off as team_off
    from khive_persist.team.program import team_on as team_on
    from khive_persist.team.program import team_status as team_status
    from khive_persist.team.push import Pushed as Pushed
    from khive_persist.team.status import TeamStatus as TeamStatus
    from khive_persist.team.status import Withdrawn as Withdrawn
    from khive_persist.transcripts.collection import Collected as Collected
    from khive_persist.transcripts.collection import sync as sync
    from khive_persist.transfer.files import load_document as load_document
    from khive_persist.transfer.files import save_document as save_document
    from khive_persist.transfer.import_ import Imported as Imported
    from khive_persist.transfer.transfer import export_records as export_records
    from khive_persist.transfer.transfer import import_records as import_records

# Records come by way of opening, which lets their own calls (`await session.save()`) open a store.
_NAMES = {
    "analytics.experiments.assign": "assign",
    "analytics.experiments.create": "create_experiment",
    "analytics.outcomes": "calibration outcomes",
    "analytics.similar": "similar_plans",
    "copies": "Verified rebuild rebuild_search verify",
    "errors": """
        AmbiguousStoreError BackupDamagedError BackupError CaptureError CompletedError
        ConflictError DestinationError EmissionError InvalidFileError InvalidQueryError
        InvalidRecordError InvalidSettingsError KhiveError MirrorError MissingExtraError
        NotFoundError ProjectError StoreBusyError StoreClosedError StoreDamagedError
        StoreError StoreFullError StoreNewerError StoreUnavailableError UntrustedError
        VersionError
    """,
    "maintenance.backup.backups": """
        create_backup list_backups prune_backups restore_backup verify_backups
    """,
    "maintenance.backup.catalogue": "Catalogue",
    "maintenance.backup.manifest": "Manifest",
    "maintenance.backup.restore": "Restored",
    "maintenance.backup.verify": "VerifiedBackup",
    "maintenance.retention.prune": "Pruned",
    "maintenance.retention.purge": "Purged",
    "maintenance.retention.removal": "prune purge rescan",
    "maintenance.retention.rescan": "Rescanned",
    "mirror.rebuild": "Rebuilt",
    "mirror.verify": "Tally",
    "models.node": "RecordPaths",
    "models.purposes": "Purpose purpose",
    "models.query": "Field Filter Order column field",
    "opening": """
        ApplicationSession Assignment Experiment FocusChain HookEvent Measurement Message
        Node Outcome PlannerSession Score open_store save_planning_session
    """,
    "sessions.file_history": "FileHistory search_file",
    "sessions.fixes": "FixResult search_fixes",
    "search_index.state": "IndexState",
    "search_index.result": "Mark SearchHit SearchResult SessionHits VectorsState",
    "sessions.projects": "ProjectSummary list_projects",
    "sessions.search": "search",
    "sessions.searcher": "Searcher",
    "sessions.verdicts": "record_outcome",
    "sql_query": "QueryResult list_tables query_sql",
    "store.aggregates": "Aggregate",
    "store.application_sessions": "ApplicationSessionStore",
    "store.autosave": "Autosave",
    "store.callbacks": "Callback CallbackMetadata CallbackOptions ErrorCallback",
    "store.focus_chains": "FocusChainStore",
    "store.hook_events": "HookEventStore",
    "store.immutable": "FixedStore",
    "store.planner_sessions": "PlannerSessionStore",
    "store.sqlite.catalogue": "Table TableColumn",
    "store.sqlite.comparison_index": "Difference",
    "store.sqlite.team.ledger": "OffSession Total Unsent",
    "store.store": "Store",
    "store.time_series": "TimedStore",
    "transcripts.collection": "Collected sync",
    "team.program": "push team_off team_on team_status",
    "team.push": "Pushed",
    "team.status": "TeamStatus Withdrawn",
    "transfer.files": "load_document save_document",
    "transfer.import_": "Imported",
    "transfer.transfer": "export_records import_records",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_RENAMED = {"PlaceError": "ProjectError"}

__all__ = sorted(_HOMES)


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
