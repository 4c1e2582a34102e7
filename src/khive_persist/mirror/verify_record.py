"""The record of the last comparison of both copies: when it was made, and what it showed."""

import os
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.clock import InstantText
from khive_persist.errors import ProjectError
from khive_persist.files import write_private
from khive_persist.mirror.verify import Comparison
from khive_persist.project import Project
from khive_persist.trust import signed

FILE: Final = "verified.json"
_PURPOSE: Final = "verify"


class LastVerify(NamedTuple):
    """The last comparison of all records with their second copies.

    Attributes:
        at: The time of its end.
        is_equal: Whether every record was in both, the same, and nothing was damaged.
        records: The number of records that were compared.
    """

    at: InstantText
    is_equal: bool
    records: int


def write_last_verify(project: Project, comparison: Comparison) -> None:
    """Put down the result of a comparison of everything; where that fails it is as if unmade."""
    rows = sum(tally.rows for tally in comparison.tallies.values())
    result = LastVerify(clock.to_text(clock.now()), comparison.is_equal, rows)
    path = project.khive / FILE
    try:
        write_private(path, signed.dump(project.khive, _PURPOSE, result._asdict()))
    except (OSError, ProjectError):
        return


def read_last_verify(project: Project) -> LastVerify | None:
    """Return the last comparison; None where none was made, or somebody else wrote the file."""
    if not os.path.lexists(project.khive / FILE) or not is_believed(project):
        return None
    document = signed.read(project.khive / FILE)
    return LastVerify(**{name: document[name] for name in LastVerify._fields})


def is_believed(project: Project) -> bool:
    """Return whether this user's programs wrote the file of the last comparison."""
    return signed.is_believed(project.khive, _PURPOSE, project.khive / FILE)
