"""`server.url`: where the server of a project listens."""

import http.client
import re
from typing import Final
from urllib.parse import urlsplit

from khive_persist.files import read_regular
from khive_persist.maintenance.running_server import LOCK
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.web_requests import is_loopback

_MOST_BYTES: Final = 4_096
_SECONDS: Final = 2.0
_VERSION: Final = re.compile(r"[\w.+-]{1,64}")


def read(project: Project) -> str:
    """Return what the file says; an empty string where no server runs."""
    try:
        return read_regular(project.server_url, _MOST_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def server_url(project: Project, settings: Settings) -> str:
    """Return where the server of a project listens, or would by its settings.

    The file may have come with a pull, and events and a token are sent to where it says: it is
    believed of this machine alone, and of the address that the settings name.
    """
    url = read(project)
    host = urlsplit(url).hostname or ""
    if is_loopback(host) or host == settings.server_address:
        return url
    host = settings.server_address
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server_port}"


def running_version(project: Project) -> str:
    """Return the version of the server of a project on this machine; an empty text for none.

    What is read came from the file of its lock, and counts only while something answers.
    """
    parts = urlsplit(read(project))
    if not is_loopback(parts.hostname or ""):
        return ""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        text = read_regular(project.khive / LOCK, _MOST_BYTES).decode("ascii").strip()
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.request("GET", "/healthz")
            is_running = connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, UnicodeDecodeError, ValueError, http.client.HTTPException):
        return ""
    return text if is_running and _VERSION.fullmatch(text) else ""
