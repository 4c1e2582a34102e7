"""Programs from npm, each in a folder of its own, and khive-persist as `pip install` leaves it."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from clients.client import Client

_NODE: Final = "24"
PLUGIN_PACKAGES: Final = "plugin-packages"
_ROOT: Final = Path(__file__).parents[1]
_SECONDS: Final = 600.0
_MACHINES: Final = {"x86_64": "x64", "aarch64": "arm64"}
# A new version can be there before the packages of its platforms are.
_TRIED: Final = 4
_MISSING: Final = re.compile(r"No matching version found for (\S+\d)")
_STABLE: Final = re.compile(r"\d+\.\d+\.\d+")


class InstallError(Exception):
    """A program that npm or pip does not bring; the text says why."""


class Installed(NamedTuple):
    """An installed client.

    Attributes:
        program: The program.
        version: Its version.
        node_folder: The folder of the Node that runs it.
        failure: Why a newer version is not installed; an empty string where none is.
    """

    program: Path
    version: str
    node_folder: Path
    failure: str = ""


def khive_persist(folder: Path) -> Path:
    """Install a wheel of this checkout, with its compiled hook; return the program.

    Raises:
        InstallError: The wheel could not be built or installed.
    """
    place = folder / "khive-persist"
    dist, environment = place / "dist", place / "venv"
    python = [sys.executable, "-m"]
    _run([*python, "build", "--no-isolation", "--wheel", "--outdir", str(dist), str(_ROOT)])
    _run([*python, "venv", "--clear", str(environment)])
    (wheel,) = dist.glob("*.whl")
    _run([str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)])
    return environment / "bin" / "khive-persist"


def node(folder: Path) -> Path:
    """Install Node; return the folder of its program.

    Raises:
        InstallError: npm is missing, or failed.
    """
    machine = _MACHINES.get(platform.machine(), platform.machine())
    name = f"node-{platform.system().lower()}-{machine}"
    place = folder / "node"
    if not (place / "node_modules" / name).exists():
        _npm_install(place, f"{name}@{_NODE}", None)
    return place / "node_modules" / name / "bin"


def client(client: Client, folder: Path, node_folder: Path, version: str = "") -> Installed:
    """Install a client, the newest version that can be, or the one that is named.

    Raises:
        InstallError: npm failed, or the program does not say its version.
    """
    place = folder / client.name
    program = place / "node_modules" / ".bin" / client.program
    failures = []
    for one in [version] if version else _newest(client.package):
        if not (program.exists() and _version_in(place, client.package) == one):
            try:
                _npm_install(place, f"{client.package}@{one}", node_folder)
            except InstallError as error:
                failures.append(f"{one} could not be installed: {error}")
                continue
        plugins = place / PLUGIN_PACKAGES
        if client.plugin_package and _version_in(plugins, client.plugin_package) != one:
            try:
                _npm_install(plugins, f"{client.plugin_package}@{one}", node_folder)
            except InstallError as error:
                failures.append(f"{one} could not be installed: {error}")
                continue
        return Installed(program, one, node_folder, "; ".join(failures))
    raise InstallError("; ".join(failures) or "npm knows no version")


def _newest(package: str) -> list[str]:
    versions = json.loads(_npm(["view", package, "versions", "dist-tags.latest", "--json"], None))
    latest = versions["dist-tags.latest"]
    stable = [one for one in versions["versions"] if _STABLE.fullmatch(one)]
    before = stable[: stable.index(latest)] if latest in stable else stable
    return [latest, *before[:-_TRIED:-1]]


def _version_in(place: Path, package: str) -> str:
    try:
        text = (place / "node_modules" / package / "package.json").read_text("utf-8")
    except OSError:
        return ""
    return str(json.loads(text)["version"])


def _npm_install(place: Path, package: str, node_folder: Path | None) -> None:
    place.mkdir(parents=True, exist_ok=True)
    _npm(["install", "--no-fund", "--no-audit", "--prefix", str(place), package], node_folder)


def _npm(arguments: list[str], node_folder: Path | None) -> str:
    path = os.environ.get("PATH", os.defpath)
    environment = os.environ | {"PATH": f"{node_folder}:{path}" if node_folder else path}
    return _run(["npm", "--loglevel=error", *arguments], environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=_SECONDS,
        )  # fmt: skip
    except FileNotFoundError:
        raise InstallError(f"{name} is not installed") from None
    except subprocess.TimeoutExpired:
        raise InstallError(f"{name} took longer than {_SECONDS:g} s") from None
    if done.returncode:
        if missing := _MISSING.search(done.stderr):
            raise InstallError(f"{name} has no {missing[1]}")
        lines = [line for line in done.stderr.splitlines() if "A complete log" not in line]
        raise InstallError(" ".join(" ".join(lines).split())[:300] or f"{name} failed")
    return done.stdout
