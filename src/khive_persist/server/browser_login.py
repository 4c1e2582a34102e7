"""Open the dashboard in a browser that is logged in, by a link that is good once.

Other users of a machine see the words of its processes, so the browser is not given the link but a
file of `.khive`, which only this user can read, and which leads there.
"""

import http.client
import json
import os
import webbrowser
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from khive_persist.errors import ProjectError
from khive_persist.maintenance.running_server import LOCK
from khive_persist.project import Project, write_private
from khive_persist.server import url_file
from khive_persist.server.http.tokens import Tokens
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock

FILE: Final = "open.html"
_SECONDS: Final = 10.0
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={url}"><title>khive-persist</title></head>
<body><a href="{url}">Open the dashboard</a></body></html>
"""


def is_running(project: Project) -> bool:
    """Return whether a server of the project runs: one that does holds the lock."""
    if not project.exists():
        return False
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def login_url(project: Project, settings: Settings) -> str:
    """Return a URL that logs a browser in, once, within a minute; a fragment may follow it.

    Raises:
        ProjectError: The server does not answer, or gives no link.
    """
    server = url_file.server_url(project, settings)
    token = Tokens(project).local()
    return f"{server}{_ask_for_link(server, token)['path']}"


def open_browser(project: Project, url: str) -> bool:
    """Lead the person's browser to a URL; return whether there is one.

    Raises:
        ProjectError: The file that leads there cannot be written.
    """
    path = project.khive / FILE
    try:
        write_private(path, _PAGE.format(url=escape(url, quote=True)).encode(), synced=False)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written ({error.strerror})") from error
    return webbrowser.open(path.as_uri())


def _ask_for_link(server: str, token: str) -> Any:
    parsed = urlsplit(server)
    kind = http.client.HTTPSConnection if parsed.scheme == "https" else http.client.HTTPConnection
    connection = kind(parsed.hostname or "", parsed.port, timeout=_SECONDS)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", "/login/link", b"{}", headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise ProjectError(f"{server} answers {response.status}: is it of an earlier version?")
        return json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, ProjectError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = "name its certificate in SSL_CERT_FILE" if parsed.scheme == "https" else ""
        raise ProjectError(f"{server} does not answer ({reason})", hint=hint) from error
    finally:
        connection.close()
