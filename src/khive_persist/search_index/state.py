"""The state of the index: whether there is one, how far behind it is, and whether it is sound."""

from typing import NamedTuple

from khive_persist.errors import KhiveError
from khive_persist.project import Project
from khive_persist.search_index import index_file
from khive_persist.search_index.follow import count_behind
from khive_persist.search_index.index_file import IndexFile
from khive_persist.search_index.result import VectorsState
from khive_persist.search_index.search_readers import reading
from khive_persist.settings import Settings
from khive_persist.store.sqlite.connection import fault_of
from khive_persist.store.sqlite.statements import scalar


class IndexState(NamedTuple):
    """The state of the index of a project.

    Attributes:
        exists: Whether there is one; it is made by the first search.
        records: The number of records that it has looked at.
        passages: The number of passages that are found in it.
        bytes: Its size, without its log.
        behind: The number of changes that it lacks; None where it is being made, and may lack
            anything, as where there is none.
        problem: The fault that was found in it, or an empty string.
        vectors: The progress of their vectors; None where none are asked for.
    """

    exists: bool
    records: int
    passages: int
    bytes: int
    behind: int | None
    problem: str
    vectors: VectorsState | None = None


def index_state(project: Project) -> IndexState:
    """Return the state of the index; all of its pages are read. Nothing is made."""
    if not index_file.exists(project):
        return IndexState(False, 0, 0, 0, None, "")
    records = passages = size = 0
    try:
        size = project.search_index.lstat().st_size
        with reading(project) as connection:
            if connection is None:
                problem = f"{project.search_index} is of another version, or not this user's own"
                return IndexState(True, 0, 0, size, None, problem)
            if fault := fault_of(connection, "quick_check(3)"):
                return IndexState(True, 0, 0, size, None, f"{project.search_index}: {fault}")
            records = int(scalar(connection, "SELECT count(*) FROM records"))
            passages = int(scalar(connection, "SELECT count(*) FROM passages"))
        return IndexState(True, records, passages, size, count_behind(project), "")
    except (KhiveError, OSError) as error:
        return IndexState(True, records, passages, size, None, str(error))


def verified_state(project: Project, settings: Settings) -> IndexState:
    """Return the state of the index, after FTS5 has examined it too; others do not write meanwhile.

    That reads all of it twice.
    """
    state = index_state(project)
    if not state.exists or state.problem:
        return state
    try:
        with IndexFile(project) as index:
            index.verify(settings.store_busy_timeout_seconds)
    except (KhiveError, OSError) as error:
        return state._replace(problem=str(error))
    return state


def state_line(state: IndexState) -> str:
    """Return a state in words, for a person."""
    if not state.exists:
        return "none yet"
    if state.problem:
        return state.problem
    count = f"{state.passages} passages of {state.records} records"
    if state.vectors is not None:
        count += f"; {state.vectors.sentence or 'semantic: each has its vector'}"
    if state.behind is None:
        return f"{count}, not complete yet"
    return f"{count}, {state.behind} changes behind" if state.behind else f"{count}, up to date"
