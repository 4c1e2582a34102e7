"""`GET /` and `/assets/*`: the files of the dashboard, as they were built into the package."""

import mimetypes
import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.routes.read.responses import has_tag, takes_gzip

FOLDER: Final = Path(str(files("khive_persist") / "server" / "web"))
# What a build names after its content never changes; the page that names them may.
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_ANEW: Final = "no-cache"
_HASHED: Final = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+\Z")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_UNBUILT: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>khive-persist</title>"
    b"<p>The dashboard was not built into this installation: run make web."
)


def routes(access: Access) -> list[BaseRoute]:
    """Return the routes of this group. They need no token: no file holds anything recorded."""

    async def page(request: Request) -> Response:
        response = await anyio.to_thread.run_sync(_read, "index.html", request)
        if response is None:
            return Response(_UNBUILT, media_type="text/html")
        return response

    async def asset(request: Request) -> Response:
        name = "assets/" + request.path_params["name"]
        response = await anyio.to_thread.run_sync(_read, name, request)
        if response is None:
            raise HTTPException(404, "there is nothing here")
        return response

    return [
        route(access, "GET", "/", page, right=None),
        route(access, "GET", "/assets/{name:path}", asset, right=None),
    ]


def _read(name: str, request: Request) -> Response | None:
    # The names are looked up among those that are there: none leads out of the folder.
    files = _files()
    path = files.get(name)
    if path is None:
        return None
    packed = files.get(name + ".gz") if takes_gzip(request) else None
    try:
        content = (packed or path).read_bytes()
        status = path.stat()
    except OSError:
        # It was built anew just now.
        return None
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{"-gz" if packed else ""}"'
    headers = {
        "cache-control": _FOREVER if _HASHED.search(name) else _ASK_ANEW,
        "etag": tag,
        "vary": "accept-encoding",
        "content-type": _TYPES.get(path.suffix)
        or mimetypes.guess_type(path.name)[0]
        or "application/octet-stream",
    }
    if has_tag(request, tag):
        del headers["content-type"]
        return Response(status_code=304, headers=headers)
    if packed is not None:
        headers["content-encoding"] = "gzip"
    return Response(content, headers=headers)


def _files() -> dict[str, Path]:
    """Return the files of the dashboard, by their path below its folder; none where it was not
    built.
    """
    files_of_it = (path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path for path in files_of_it}
