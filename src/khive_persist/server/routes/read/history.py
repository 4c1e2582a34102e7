"""`GET /v1/search/fixes` and `/v1/search/file`: what mended an error, and who touched a file."""

from functools import partial
from typing import Any, Final

from khive_persist.project import Project
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions import file_history, fixes
from khive_persist.sessions.file_history import FileHistory, search_file
from khive_persist.sessions.fixes import FixResult, search_fixes

ERROR: Final = Parameter("error", "text", "The text of the error, or the lines that name it.")
PATH: Final = Parameter("path", "text", "The file, below the project's root or absolute.")
FIXES: Final = Parameter(
    "limit", "integer", "At most so many.",
    minimum=1, maximum=fixes.MAX_LIMIT, default=fixes.DEFAULT_LIMIT,
)  # fmt: skip
TOUCHES: Final = Parameter(
    "limit", "integer", "At most so many.",
    minimum=1, maximum=file_history.MAX_LIMIT, default=file_history.DEFAULT_LIMIT,
)  # fmt: skip


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def mended(query: ReadRequest) -> Any:
        error = _given(query, "error")
        work = partial(search_fixes, error, limit=query["limit"], project=project)
        return await readers.run_heavy(work)

    async def touched(query: ReadRequest) -> Any:
        path = _given(query, "path")
        work = partial(search_file, path, limit=query["limit"], project=project)
        return await readers.run_heavy(work)

    return [
        Operation(
            "/v1/search/fixes",
            mended,
            "What mended an error in earlier sessions, the best first.",
            (ERROR, FIXES),
            FixResult,
        ),
        Operation(
            "/v1/search/file",
            touched,
            "Who touched a file, when, by which call and why, the latest first.",
            (PATH, TOUCHES),
            FileHistory,
        ),
    ]


def _given(query: ReadRequest, name: str) -> str:
    text: str | None = query[name]
    if text is None:
        raise HTTPError(400, "bad_parameter", f"{name} is missing")
    return text
