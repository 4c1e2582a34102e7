"""What came of a training: its groups compared, and all of it as tables for other programs.

One command of khive-persist does it. In the tables a hash under a key stands for each student.
"""

import shlex
import subprocess
import sys
from pathlib import Path

from examples.training_platform.scenario import GROUPS, STEPS, VITAL_SIGNS

# Decided on before the training: what is looked at afterwards is corrected for all of these.
METRICS = (
    "score:total",
    *(f"score:{step}" for step, _ in STEPS),
    "application:outcome=passed",
    *(f"measurement:{name}" for name, *_ in VITAL_SIGNS),
)


def analyse(directory: Path, folder: Path) -> None:
    """Compare the groups, print it, and write the report and all tables.

    Args:
        directory: Where `.khive` is.
        folder: Where the report goes, which is made: as a page, as text, as CSV and as a workbook.

    Raises:
        SystemExit: It cannot be compared or written, as where the folder has a report already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The one to compare with first.
    with_feedback, without = GROUPS
    words = [
        "compare", without, with_feedback, "--by", "group",
        *(word for metric in METRICS for word in ("--metric", metric)),
        "--html", str(folder / "report.html"), "--text", str(folder / "report.txt"),
        "--excel", str(folder / "report.xlsx"), "--csv", str(folder / "tables"),
        "--pseudonyms", str(folder / "pseudonyms.key"),
    ]  # fmt: skip
    print(f"\n$ khive-persist {shlex.join(words)}\n", flush=True)
    command = [sys.executable, "-m", "khive_persist.cli", "--dir", str(directory), *words]
    done = subprocess.run(command, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise SystemExit(done.returncode)
