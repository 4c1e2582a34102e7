"""Takes each guard out of a copy of the code and runs the test that has to be red then.

    python -m tests.guards [WORD ...] [--also TEST ...]

Only guards whose names hold one of the words. `--also` runs other tests in place of those that are
named for them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.guards.sites import Site, sites
from tests.guards.table import TESTS

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = "src/khive_persist"
SECONDS: Final = 180


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the code and its tests, with an environment in which it is what is installed."""
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Path(folder)
        for name in ("src", "native", "tests", "hooks", "examples", "benchmarks"):
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, copy / name, symlinks=True,
                                ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
        for file in ROOT.iterdir():
            if file.is_file() and not file.name.startswith("."):
                shutil.copy(file, copy)
        venv.create(copy / ".venv", symlinks=True)
        packages = next((copy / ".venv" / "lib").glob("python*/site-packages"))
        # Its own first; the .pth files of the other environment are not obeyed in here.
        paths = [str(copy / "src"), sysconfig.get_path("purelib")]
        (packages / "guards.pth").write_text("\n".join(paths) + "\n")
        for script in Path(sys.executable).parent.glob("khive-*"):
            _, _, rest = script.read_text().partition("\n")
            own = copy / ".venv" / "bin" / script.name
            own.write_text(f"#!{copy}/.venv/bin/python\n{rest}")
            own.chmod(0o755)
        yield copy


def run(copy: Path, tests: list[str], seconds: float = SECONDS) -> tuple[str, str]:
    """Run tests: the first that failed, and its error; two empty strings where all are green."""
    python = copy / ".venv" / "bin" / "python"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    words = ["-qx", "-pno:cacheprovider", "-pno:randomly", "-m", "not long", "--tb=line"]
    try:
        done = subprocess.run(
            [python, "-m", "pytest", *words, *tests],
            cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return tests[0], f"not ended after {seconds} s"
    if done.returncode == 0:
        return "", ""
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            name, _, error = line.partition(" ")[2].partition(" - ")
            return name, error
    return "", f"no test ran: {done.stdout[-300:]}{done.stderr[-300:]}"


def main() -> int:
    """Print the table; 1 where a guard is missed by its test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--also", nargs="+", default=[])
    asked = parser.parse_args()
    missed = 0
    with copied() as copy:
        # A test that is red anyhow catches nothing.
        name, error = run(copy, sorted(set(asked.also or TESTS.values())), len(TESTS) * SECONDS)
        if name or error:
            print(f"with all guards in: {name} {error}")
            return 1
        for site in sites(copy / PACKAGE):
            if asked.words and not any(word in site.name for word in asked.words):
                continue
            tests = asked.also or [TESTS[name] for name in [site.name] if name in TESTS]
            name, error = _without(copy, site, tests) if tests else ("", "no test is named for it")
            missed += not name
            print(f"{'red  ' if name else 'GREEN'} {site.name} → {name} {error[:100]}", flush=True)
    return 1 if missed else 0


def _without(copy: Path, site: Site, tests: list[str]) -> tuple[str, str]:
    content = site.file.read_bytes()
    site.file.write_bytes(site.taken_out())
    try:
        return run(copy, tests)
    finally:
        site.file.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
