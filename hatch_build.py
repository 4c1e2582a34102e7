"""Build what a wheel has besides Python: the compiled hook, and the dashboard.

Neither is needed: without a compiler the hooks are Python's, and without Node the server says that
the dashboard is not there. An editable installation gets neither. Variables of the environment:
KHIVE_PURE=1 leaves the hook out, and the wheel is one for all systems; KHIVE_TARGET names another
system, as native/compiler.py has them, for which `ziglang` compiles it.
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


class KhiveBuildHook(BuildHookInterface[Any]):
    """Put the compiled hook and the dashboard into what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make both, as far as that can be done here."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / PACKAGE / "server" / "web" / "index.html").is_file():
            self._build_dashboard(root / "web")
        if self.target_name == "wheel" and os.environ.get("KHIVE_PURE", "0") in ("", "0"):
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

    def _build_dashboard(self, folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None or not folder.is_dir():
            self.app.display_warning("the dashboard is not built: Node 20 or newer builds it")
            return
        for words in (["ci", "--silent"], ["run", "--silent", "build"]):
            done = subprocess.run([npm, *words], cwd=folder, check=False)  # noqa: S603
            if done.returncode:
                self.app.display_warning(f"the dashboard is not built: npm {words[0]} failed")
                return
