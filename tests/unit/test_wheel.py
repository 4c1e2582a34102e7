"""The built wheel, on each Python that is here."""

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import launcher
from native.compiler import CompilerError, compile_hook, compilers

HOOK = "khive_persist/capture/khive-hook"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "khive_persist" / "server" / "web"
# Where it is not built, as where Node is not here, the rest is looked at all the same.
WITHOUT_NODE = {} if (PAGE / "index.html").is_file() else {"KHIVE_NO_DASHBOARD": "1"}
OTHERS = [pytest.param("3.12", marks=pytest.mark.long), "3.13"]
SMOKE = """
import anyio, os, subprocess, sys
from khive_persist import HookEvent, PlannerSession, field, open_store
from khive_persist.capture import hook_path
from khive_persist.cli.root import run

async def main():
    content = {"session_id": "s1", "task_description": "t", "confidence": 0.9}
    async with open_store(PlannerSession) as plans:
        await plans.save(PlannerSession(content=content))
        assert len(await plans.find(field("confidence") > 0.8)) == 1
    async with open_store(HookEvent) as events:
        assert await events.count() == 1

payload = b'{"hook_event_name":"Stop","session_id":"s1"}'
command = [sys.executable, "-I", "-S", str(hook_path()), "--tool", "claude-code"]
assert subprocess.run(command, input=payload).returncode == 0
anyio.run(main)
assert run(["sessions", "--json"]) == 0
assert run(["doctor"]) == 0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "-nw", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True, env=os.environ | WITHOUT_NODE,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_what_is_needed_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for file in ("config.toml", "py.typed", "store/sqlite/sql/001_records.sql", "capture/hook.py",
                 "samples/codex.jsonl"):  # fmt: skip
        assert f"khive_persist/{file}" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


def test_the_wheel_holds_the_dashboard(wheel: Path) -> None:
    if WITHOUT_NODE:
        pytest.skip("the dashboard is not built: make web")
    built = {path.relative_to(ROOT / "src").as_posix() for path in PAGE.rglob("*.*")}
    names = zipfile.ZipFile(wheel).namelist()
    assert built <= set(names)
    assert not [name for name in names if "node_modules" in name]


def test_without_the_dashboard_there_is_no_wheel_unless_told(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        checkout.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, checkout)
    for name in ("src", "native"):
        ignored = shutil.ignore_patterns("web", "__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    (checkout / "web").mkdir()
    # npm is there, and fails, as where its registry cannot be reached.
    (tmp_path / "npm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "build", "-nw", "--outdir", str(tmp_path), str(checkout)]
    variables = os.environ | {"KHIVE_PURE": "1", "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode != 0
    assert "the dashboard is not built: npm ci --silent failed" in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))
    variables |= {"KHIVE_NO_DASHBOARD": "1"}
    subprocess.run(command, capture_output=True, check=True, env=variables)
    (built,) = tmp_path.glob("*.whl")
    assert not [name for name in zipfile.ZipFile(built).namelist() if "server/web/" in name]


ALL = ("analysis", "backup", "export", "mcp", "nats", "postgres", "semantic", "server")


def test_the_metadata_stands_by_itself_on_an_index(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= urls.keys()
    readme = metadata.get_payload()
    assert isinstance(readme, str)
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", readme)
    assert targets
    assert all(target.startswith("https://") for _, target in targets)
    pictures = [target for mark, target in targets if mark]
    # A picture is the file itself, and no page about it; each link is to a file that is here.
    assert pictures
    assert not [target for target in pictures if "/blob/" in target]
    repository = urls["Homepage"]
    for _, target in targets:
        path = re.sub(r".*?/main/", "", target.removeprefix(f"{repository}/blob"))
        assert (ROOT / path.partition("#")[0]).exists(), target
    required: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, extra = line.replace("'", "").partition("extra == ")
        required.setdefault(extra, set()).add(re.split("[;<>=~]", requirement)[0].strip())
    extras = [required[name] for name in ALL]
    assert required["all"] == set().union(*extras)


def test_the_wheel_holds_the_compiled_hook(wheel: Path, tmp_path: Path) -> None:
    if not list(compilers()):
        assert wheel.name.endswith("-py3-none-any.whl")
        pytest.skip("no C compiler is here")
    assert not wheel.name.endswith("-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo(HOOK).external_attr >> 16 & 0o111 == 0o111
        program = Path(archive.extract(HOOK, tmp_path))
    program.chmod(0o755)
    assert launcher.runs(program)
    assert launcher.version_of(program.read_bytes()) == version("khive-persist")


@pytest.mark.parametrize(
    "variables",
    [{"KHIVE_PURE": "1"}, pytest.param({"CC": "false"}, marks=pytest.mark.long)],
    ids=["on demand", "where the compiler fails"],
)
def test_a_wheel_without_it_is_one_for_all(variables: dict[str, str], tmp_path: Path) -> None:
    if "CC" in variables and importlib.util.find_spec("ziglang") is not None:
        pytest.skip("ziglang compiles it all the same")
    done = subprocess.run(
        [sys.executable, "-m", "build", "-nw", "--outdir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True, text=True, env=os.environ | WITHOUT_NODE | variables,
    )  # fmt: skip
    (built,) = tmp_path.glob("*.whl")
    assert built.name.endswith("-py3-none-any.whl")
    assert HOOK not in zipfile.ZipFile(built).namelist()
    assert ("hooks are Python's" in done.stdout + done.stderr) is ("CC" in variables)


def test_a_system_that_it_is_not_compiled_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match="amiga is none of x86_64-linux, "):
        compile_hook(tmp_path / "hook", target="amiga")


@pytest.mark.parametrize("number", OTHERS)
@pytest.mark.timeout(300)
def test_the_wheel_works_on_other_pythons(wheel: Path, number: str, tmp_path: Path) -> None:
    interpreter = _interpreter(number)
    if interpreter is None:
        pytest.skip(f"Python {number} is not on this machine")
    environment = tmp_path / "environment"
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    # Our own pip needs no installing; what is compiled at the first import needs none before.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-compile", str(wheel)], check=True, capture_output=True)
    project = tmp_path / "project"
    (project / ".khive").mkdir(parents=True)
    done = subprocess.run(
        [python, "-c", SMOKE], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing is wrong" in done.stdout
    assert (", compiled" in done.stdout) is ("-any." not in wheel.name)


def _interpreter(number: str) -> str | None:
    # pyenv's shims stand in the path for versions that are not chosen, and then fail.
    candidates = [shutil.which(f"python{number}")]
    candidates += [
        str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{number}*/bin/python"))
    ]
    candidates += [
        str(path) for path in sorted(Path(sys.base_prefix).parent.glob(f"{number}*/bin/python"))
    ]
    for candidate in candidates:
        if candidate is not None:
            check = subprocess.run(
                [candidate, "-c", "import venv"], capture_output=True, check=False
            )
            if check.returncode == 0:
                return candidate
    return None
