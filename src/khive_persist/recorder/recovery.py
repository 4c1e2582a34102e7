"""The recovery before a server takes requests: both copies are made to agree."""

from contextlib import suppress

from khive_persist.errors import KhiveError
from khive_persist.mirror.recovery import FEW_RECORDS, recover
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from khive_persist.settings import Settings


def recover_all(project: Project, settings: Settings) -> None:
    """Copy what a killed process had committed and not copied.

    Its sender was not told that it is stored, and none sends it again. `doctor` reports what cannot
    be copied; new events must not wait for it.
    """
    with suppress(KhiveError):
        recover(project, known_purposes(project), settings, most=FEW_RECORDS)
