"""A Debian of its own without a compiler: what pip installs there records."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from native.compiler import compilers

ROOT = Path(__file__).parents[2]
SUITE, PYTHON = "bookworm", "3.11"
SCRIPT = """
set -e
export HOME=/root PATH=/usr/bin:/bin
for compiler in cc gcc clang; do ! command -v $compiler; done
python3 -m venv /venv
/venv/bin/pip install -q --no-index --find-links /packages /packages/khive_persist*
mkdir /project && cd /project
/venv/bin/khive-persist init
/venv/bin/khive-persist hooks install codex
# Codex trusts none of them yet.
/venv/bin/khive-persist hooks status || true
command=$(python3 -c 'if True:
    import json
    hooks = json.load(open(".codex/hooks.json"))["hooks"]
    print(hooks["Stop"][0]["hooks"][0]["command"])')
echo '{"hook_event_name": "Stop", "session_id": "s"}' | sh -c "$command"
/venv/bin/khive-persist events --json
/venv/bin/khive-persist doctor || true
"""


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with Python, and the packages that ours needs."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("only root makes another root, by debootstrap")
    root = tmp_path_factory.mktemp("debian")
    words = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", SUITE, str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"debootstrap: {done.stdout[-200:]}")
    yield root
    shutil.rmtree(root)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_machine_without_a_compiler(debian: Path, tmp_path: Path, kind: str) -> None:
    if kind == "wheel" and not list(compilers()):
        pytest.skip("no C compiler is here")
    packages = tmp_path / "packages"
    subprocess.run(
        [sys.executable, "-m", "build", "-n", f"--{kind}", "--outdir", str(packages), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = packages.iterdir()
    # What both need is that of the built wheel, whose requirements need no build.
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--dest", str(packages),
         "--only-binary=:all:", f"--python-version={PYTHON}", *requirements()],
        check=True, capture_output=True,
    )  # fmt: skip
    machine = tmp_path / "machine"
    shutil.copytree(debian, machine, symlinks=True, ignore=shutil.ignore_patterns("dev", "proc"))
    for folder in ("dev", "proc"):
        (machine / folder).mkdir()
    (machine / "dev" / "null").touch()
    shutil.copytree(packages, machine / "packages")
    done = subprocess.run(
        ["chroot", str(machine), "sh", "-c", SCRIPT], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'"session_id": ?"s"', done.stdout), done.stdout
    is_compiled = kind == "wheel"
    assert (", compiled" in done.stdout) is is_compiled, built
    assert ("as this installation has no compiled one" in done.stdout) is not is_compiled
    row = next(line for line in done.stdout.splitlines() if line.startswith("codex  "))
    assert ("native" if is_compiled else "python") in row


def requirements() -> list[str]:
    """What our package and its build need, without what it has for other Pythons."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    of_both = described["project"]["dependencies"] + described["build-system"]["requires"]
    return [str(requirement) for requirement in of_both]
