"""A server that starts with its user's session: a systemd unit, or on macOS a launchd agent.

Only the file is written. To load it is the user's word: the lines that are printed say how.
"""

import hashlib
import os
import plistlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import InvalidSettingsError, NotFoundError, ProjectError
from khive_persist.project import Project, write_private
from khive_persist.trust.processes import module_command

_UNIT: Final = """\
[Unit]
Description=khive-persist serve ({root})
After=network.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
TimeoutStopSec=60
UMask=0077
NoNewPrivileges=true

[Install]
WantedBy=default.target
"""


class Unit(NamedTuple):
    """The file that starts the server of one project.

    Attributes:
        path: The path of the file.
        content: The content of the file.
        to_start: The commands to run once it is there.
        to_stop: The commands to run before it goes.
    """

    path: Path
    content: bytes
    to_start: tuple[str, ...]
    to_stop: tuple[str, ...]


def unit_of(project: Project, options: Sequence[str] = (), platform: str = "") -> Unit:
    """Return the file for a project, with the options of `serve`; for this platform unless told
    otherwise.

    Raises:
        InvalidSettingsError: The path of the project has a control character.
    """
    root = str(project.root)
    if not root.isprintable():
        raise InvalidSettingsError(f"{root!r} cannot stand in a unit", hint="rename the folder")
    command = module_command("khive_persist.cli", "--dir", root, "serve", *options)
    name = _name(project)
    if (platform or sys.platform) == "darwin":
        return _agent(project, f"org.khive-persist.{name}", command)
    return _service(root, f"khive-persist-{name}.service", command)


def install(unit: Unit) -> None:
    """Write the file, 0600, as a whole or not at all.

    Raises:
        ProjectError: It cannot be written.
    """
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(unit.path, unit.content)
    except OSError as error:
        raise ProjectError(f"{unit.path}: {error.strerror}") from error


def uninstall(unit: Unit) -> None:
    """Remove the file.

    Raises:
        NotFoundError: It is not there.
        ProjectError: It cannot be removed.
    """
    try:
        unit.path.unlink()
    except FileNotFoundError as error:
        raise NotFoundError(f"{unit.path} is not there") from error
    except OSError as error:
        raise ProjectError(f"{unit.path}: {error.strerror}") from error


def _service(root: str, name: str, command: list[str]) -> Unit:
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    content = _UNIT.format(
        root=root.replace("%", "%%"), command=" ".join(_quoted(word) for word in command)
    )
    return Unit(
        Path(config) / "systemd" / "user" / name,
        content.encode(),
        (
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {name}",
            "loginctl enable-linger    # to run it also while you are not logged in",
        ),
        (f"systemctl --user disable --now {name}",),
    )


def _agent(project: Project, label: str, command: list[str]) -> Unit:
    path = Path.home() / "Library" / "LaunchAgents" / f"{label}.plist"
    content = {
        "Label": label,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": 60,
        "Umask": 0o077,
        "StandardErrorPath": str(project.khive / "server.log"),
    }
    quoted_path = shlex.quote(str(path))
    return Unit(
        path,
        plistlib.dumps(content),
        (f"launchctl bootstrap gui/$(id -u) {quoted_path}",),
        (f"launchctl bootout gui/$(id -u)/{label}",),
    )


def _quoted(word: str) -> str:
    """Return a word of ExecStart:
    https://www.freedesktop.org/software/systemd/man/systemd.service.html
    """
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _name(project: Project) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", project.root.name).strip("-")[:40] or "root"
    # Two folders of one name are two places.
    return f"{plain}-{hashlib.sha256(os.fsencode(project.root)).hexdigest()[:8]}"
