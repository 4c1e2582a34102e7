"""What a server does before it takes anything: both copies of what is there are made to agree."""

from contextlib import suppress

from khive_persist.errors import KhiveError
from khive_persist.mirror.recovery import FEW_RECORDS, recover
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from khive_persist.settings import Settings


def recover_all(project: Project, settings: Settings) -> None:
    """Copy what somebody who was killed had committed and not copied.

    Nobody was told that it is stored, so nobody sends it again. What cannot be copied is `doctor`'s
    to tell; the events that come must not wait for it.
    """
    with suppress(KhiveError):
        recover(project, known_purposes(project), settings, most=FEW_RECORDS)
