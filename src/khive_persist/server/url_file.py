"""`server.url`: where the server of a project listens."""

from typing import Final
from urllib.parse import urlsplit

from khive_persist.files import read_regular
from khive_persist.project import Project
from khive_persist.server.http.listening import is_loopback
from khive_persist.settings import Settings

_MOST_BYTES: Final = 4_096


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
