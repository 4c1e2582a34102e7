"""Find the problems of a project: the examination behind `khive-persist doctor`.

`report.py` looks at the project itself, `hooks.py` at the tools' settings, and the others each at
one kind of thing around it.
"""

from khive_persist.maintenance.doctor.hooks import HookState, examine_hooks
from khive_persist.maintenance.doctor.report import (
    Database,
    DoctorReport,
    examine,
    examine_untrusted,
)

__all__ = [
    "Database",
    "DoctorReport",
    "HookState",
    "examine",
    "examine_hooks",
    "examine_untrusted",
]
