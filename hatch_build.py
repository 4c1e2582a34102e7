"""Build what a wheel has besides Python: the compiled hook, and the dashboard.

The hook is not needed: without a compiler hooks are Python's. The dashboard is: where it is not
built and Node cannot build it, the build fails. An editable installation gets neither. Variables of
the environment: KHIVE_NO_DASHBOARD=1 builds without the dashboard, and the server says that it is
not there; KHIVE_PURE=1 leaves the hook out, and the wheel is one for all systems; KHIVE_TARGET
names another system, as native/compiler.py has them, for which `ziglang` compiles it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "src/khive_persist"
HOOK = "khive_persist/capture/khive-hook"
PAGE = "server/web/index.html"
WITHOUT_DASHBOARD = "KHIVE_NO_DASHBOARD"


class KhiveBuildHook(BuildHookInterface[Any]):
    """Put the compiled hook and the dashboard into what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make both; raise RuntimeError where the dashboard cannot be made."""
        if version == "editable":
            return
        root = Path(self.root)
        page = root / PACKAGE / PAGE
        if not page.is_file() and not _is_set(WITHOUT_DASHBOARD):
            self._build_dashboard(root / "web", page)
        if self.target_name == "wheel" and not _is_set("KHIVE_PURE"):
            self._compile_hook(root, build_data)

    def _compile_hook(self, root: Path, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, str(root))
        from native.compiler import CompilerError, compile_hook

        program = Path(self.directory) / "khive-hook"
        program.parent.mkdir(parents=True, exist_ok=True)
        target = os.environ.get("KHIVE_TARGET", "")
        try:
            compiler = compile_hook(program, version=self.metadata.version, target=target)
        except CompilerError as error:
            if target:
                raise
            self.app.display_warning(f"the hook is not compiled, so hooks are Python's: {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{compiler.tag}"
        build_data["force_include"][str(program)] = HOOK

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Take away what was made on the way."""
        (Path(self.directory) / "khive-hook").unlink(missing_ok=True)

    def _build_dashboard(self, folder: Path, page: Path) -> None:
        npm = shutil.which("npm")
        if npm is None or not folder.is_dir():
            raise _without_dashboard(f"it takes npm of Node 20 or newer, and {folder}")
        for words in (["ci", "--silent"], ["run", "--silent", "build"]):
            done = subprocess.run([npm, *words], cwd=folder, check=False)  # noqa: S603
            if done.returncode:
                raise _without_dashboard(f"npm {' '.join(words)} failed")
        if not page.is_file():
            raise _without_dashboard(f"npm run build made no {page}")


def _without_dashboard(reason: str) -> RuntimeError:
    hint = f"{WITHOUT_DASHBOARD}=1 builds without it"
    return RuntimeError(f"the dashboard is not built: {reason}. {hint}")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")
