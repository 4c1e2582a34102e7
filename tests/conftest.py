"""What all tests share: a home and a project of their own, and the real hook to run."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from khive_persist.capture import hook_path
from khive_persist.project import Project
from tests import hypotheses
from tests.compiled_hook import HookKind, compiled
from tests.factories import make_project
from tests.payloads import Hook

hypotheses.register()

NUMBERS = itertools.count()
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what failed: its folders are kept, to be looked at."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See that crowds are where `make test` looks for them."""
    for item in items:
        if item.get_closest_marker("crowd"):
            assert item.path.parent.name in ("concurrency", "server"), item.nodeid


@contextmanager
def folder(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, name: str
) -> Iterator[Path]:
    """Make a folder for a test; the factory's own way reads all that there are, for each."""
    path = factory.getbasetemp() / f"{name}-{next(NUMBERS)}"
    path.mkdir(mode=0o700)
    yield path
    if not request.node.stash.get(FAILED, False):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for what is made before a test's own: there the marks of such projects are."""
    path = tmp_path_factory.mktemp("first-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(path))
        patch.delenv("KHIVE_HOME", raising=False)
        yield path


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tmp_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder of the test's own, that is named for it."""
    with folder(request, tmp_path_factory, re.sub(r"\W", "_", request.node.name)[:30]) as path:
        yield path


@pytest.fixture
def home_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    with folder(request, tmp_path_factory, "home") as path:
        yield path


@pytest.fixture(autouse=True)
def home(home_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own; the real one is never touched."""
    monkeypatch.setenv("HOME", str(home_path))
    for name in (
        "KHIVE_DIR",
        "KHIVE_HOME",
        "KHIVE_OFF",
        "KHIVE_TOKEN",
        "CLAUDE_PROJECT_DIR",
        "GEMINI_PROJECT_DIR",
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "GEMINI_CLI_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    return home_path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose drainers leave soon."""
    return make_project(tmp_path / "project", "[capture]\nlinger_seconds = 0.2\n")


@pytest.fixture
def hold_off() -> Iterator[Callable[[Project], None]]:
    """Hold off a project's drainer, so that a hook starts none: what came stays until we drain."""
    with ExitStack() as stack:

        def hold(project: Project) -> None:
            project.spool.mkdir(mode=0o700, exist_ok=True)
            os.mkfifo(project.spool / "wake", 0o600)
            reader = os.open(project.spool / "wake", os.O_RDWR | os.O_NONBLOCK)
            stack.callback(os.close, reader)

        yield hold


@pytest.fixture
def hook_kind() -> HookKind:
    """The hook of a test; a folder whose tests run over both has a fixture of its own."""
    return "python"


@pytest.fixture
def hook_words(hook_kind: HookKind) -> list[str]:
    """The words that start the hook."""
    if hook_kind == "native":
        return [str(compiled())]
    return [sys.executable, "-I", "-S", str(hook_path())]


@pytest.fixture
def hook(project: Project, hook_words: list[str]) -> Hook:
    """Run the hook as a tool does, in the project unless told otherwise."""

    def run(
        payload: bytes, tool: str = "claude-code", *words: str, **options: object
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [*hook_words, "--tool", tool, *words]
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            command,
            input=payload,
            capture_output=True,
            timeout=60,
            check=False,
            **{"cwd": project.root, "env": dict(os.environ), **options},  # type: ignore[call-overload]
        )
        return done

    return run
