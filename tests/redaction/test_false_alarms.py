"""How often redaction takes what is no secret: below one string in a thousand.

The corpus is what is on every machine that runs the tests: sources and tests of Python's standard
library, metadata of installed packages, the lock file of the dashboard, an installer's log, the
transcripts of the tests. A string is a line that is not blank; of a transcript, a JSON string. Most
of what is taken are real passwords, of examples and tests: all of it counts as an alarm.
"""

import json
import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

from khive_persist.redaction import Redactor

REDACTOR = Redactor(b"the key of these tests")
TESTS = Path(__file__).parents[1]
EVERY = 23


def lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for line in path.read_text("utf-8", "replace").splitlines():
            if line.strip():
                yield line


def sources() -> Iterator[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    yield from lines(files[::EVERY])


def metadata() -> Iterator[str]:
    for package in sorted(distributions(), key=lambda package: package.metadata["Name"])[::3]:
        for name in ("METADATA", "RECORD"):
            yield from (package.read_text(name) or "").splitlines()


def lock_file() -> Iterator[str]:
    yield from lines([TESTS.parent / "web" / "package-lock.json"])


def installer_log() -> Iterator[str]:
    """As `pip install --verbose` and `uv pip install` write it, of the packages that are here."""
    for package in sorted(distributions(), key=lambda package: package.metadata["Name"]):
        name, version = package.metadata["Name"], package.version
        yield f"Collecting {name}=={version}"
        yield f"  Downloading {name}-{version}-py3-none-any.whl.metadata (12 kB)"
        yield f"  Preparing metadata (pyproject.toml): finished with status 'done' {name}"
        for line in (package.read_text("RECORD") or "").splitlines()[:40]:
            path, digest, size = line.rsplit(",", 2)
            yield f"    Extracting {path} {digest.replace('=', ':')} ({size} bytes)"


def transcripts() -> Iterator[str]:
    for path in sorted(TESTS.rglob("*.jsonl")):
        for line in path.read_text("utf-8", "replace").splitlines():
            for string in re.findall(r'"(?:[^"\\]|\\.)*"', line):
                yield string[1:-1]


CORPORA = {
    "sources": sources,
    "metadata": metadata,
    "lock file": lock_file,
    "installer's log": installer_log,
    "transcripts": transcripts,
}


@pytest.mark.parametrize("name", CORPORA)
def test_fewer_than_one_string_in_a_thousand(name: str) -> None:
    strings = list(CORPORA[name]())
    alarms = [string for string in strings if REDACTOR.redact_text(string)[1]]
    assert len(strings) > 1_000
    assert len(alarms) < len(strings) / 1_000, alarms[:20]


def test_events_with_real_files_are_not_changed_but_for_passwords() -> None:
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[::EVERY]:
        text = path.read_text("utf-8", "replace")
        raw = json.dumps({"tool_response": {"stdout": text}})
        assert REDACTOR.redact_json(raw)[0] is raw, path
