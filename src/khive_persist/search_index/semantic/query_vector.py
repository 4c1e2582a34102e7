"""The vector of a search, made before the index is read; new passages get theirs, too."""

from typing import TYPE_CHECKING, Final, NamedTuple

from khive_persist.errors import InvalidQueryError
from khive_persist.hints import command_in
from khive_persist.project import Project
from khive_persist.search_index.query import Query
from khive_persist.search_index.result import VectorsState
from khive_persist.search_index.semantic.embedding import count_waiting, embed_passages
from khive_persist.search_index.semantic.fusion import meaning_of
from khive_persist.search_index.semantic.source import VectorsUnavailableError, source_of
from khive_persist.settings import Settings

if TYPE_CHECKING:
    from khive_persist.search_index.semantic.source import Matrix

# A person waits for both.
_QUERY_SECONDS: Final = 5.0
_CATCH_UP_SECONDS: Final = 2.0


class QueryVector(NamedTuple):
    """The vector of a search.

    Attributes:
        model: The name of the model that made it.
        row: The vector, as the only row; None where the source gave none.
        state: The progress of the vectors of the index, and the reason for no vector.
    """

    model: str
    row: "Matrix | None"
    state: VectorsState


def query_vector(project: Project, settings: Settings, query: Query) -> QueryVector:
    """Return the vector of a search; a source that gives none leaves the search by words.

    Raises:
        InvalidQueryError: Search by meaning is off.
        InvalidSettingsError: The source is not set as it has to be.
        MissingExtraError: The extra `semantic` is not installed.
        StoreError: The index cannot be read or written.
    """
    source = source_of(settings)
    if source is None:
        hint = command_in(project.root, "config", "set", "search.semantic", "local", "--home")
        raise InvalidQueryError("search by meaning is switched off", hint=hint)
    text = meaning_of(query)
    if not text:
        return QueryVector(source.model, None, VectorsState(count_waiting(project, source)))
    try:
        row = source.embed([text], _QUERY_SECONDS)
    except VectorsUnavailableError as error:
        return QueryVector(
            source.model, None, VectorsState(count_waiting(project, source), str(error))
        )
    timeout = settings.store_busy_timeout_seconds
    state = embed_passages(project, source, _CATCH_UP_SECONDS, timeout)
    return QueryVector(source.model, row if row.any() else None, state)
