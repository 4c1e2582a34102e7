"""python -m tests.search.labelled [--sessions N]: ask the labelled questions, print the score."""

import argparse
import os
import tempfile
from pathlib import Path

import anyio

from tests.factories import make_project
from tests.search.labelled.evaluation import FIRST, score, store_all
from tests.search.labelled.generated import SESSIONS
from tests.search.labelled.questions import questions


def main() -> None:
    """Print the shares of right answers, and each answer that is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.search.labelled", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    sessions = parser.parse_args().sessions
    with tempfile.TemporaryDirectory() as name:
        os.environ["KHIVE_HOME"] = f"{name}/home"
        project = make_project(Path(name) / "project")
        store_all(project, sessions)
        counted = anyio.run(score, project, questions())
    for question, result, _ in counted.wrong:
        print(
            f"wrong: {question.words}\n  {question.session or 'any'}: {question.text or 'nothing'}"
        )
        for session in result.sessions[:FIRST]:
            for hit in session.hits[:FIRST]:
                print(f"  {session.session_id[:8]} {hit.kind} {hit.rank:.2f} {hit.excerpt[:90]!r}")
    print(f"right among the first {FIRST}: {counted.present_share:.1%} of {len(counted.present)}")
    print(f"nothing for what is not there: {counted.absent_share:.1%} of {len(counted.absent)}")


if __name__ == "__main__":
    main()
