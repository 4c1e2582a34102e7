"""A home and a project of an older version, with paths of this machine in place of placeholders."""

import os
import tarfile
from pathlib import Path

from khive_persist.capture import hook_path

FOLDER = Path(__file__).parent
PYTHON, REAL_PYTHON, PACKAGE, SCENE = "@PYTHON@", "@REAL_PYTHON@", "@PACKAGE@", "@SCENE@"


def unpack(name: str, scene: Path, python: Path) -> None:
    """Unpack an archive as if its version was upgraded: its environment has this one now."""
    with tarfile.open(FOLDER / f"{name}.tar.gz") as archive:
        archive.extractall(scene, filter="tar")
    paths = {
        PYTHON: str(python),
        REAL_PYTHON: os.path.realpath(python),
        PACKAGE: str(hook_path().parent.parent),
        SCENE: str(scene),
    }
    for path in scene.rglob("*"):
        if path.is_symlink():
            target = os.readlink(path)
            path.unlink()
            path.symlink_to(paths.get(target, target))
        elif path.is_file() and b"\0" not in (content := path.read_bytes()):
            for placeholder, machine in paths.items():
                content = content.replace(placeholder.encode(), machine.encode())
            path.write_bytes(content)
    rename_marks(scene, SCENE, str(scene))


def rename_marks(scene: Path, old: str, new: str) -> None:
    """Move the marks of the projects below a path, which stand below that path, to another."""
    marks = scene / "home" / ".khive" / "marks"
    if marks.is_dir():
        os.renames(marks / old.lstrip("/"), marks / new.lstrip("/"))
