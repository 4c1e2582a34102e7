"""Register our hook in an AI tool's settings or among its files, and take it out again."""

from khive_persist.capture.hook_config.install import (
    Change,
    HookChoice,
    has_scope,
    install,
    settings_path,
    uninstall,
)
from khive_persist.capture.hook_config.presence import found_clients
from khive_persist.capture.hook_config.status import (
    HookKind,
    State,
    Status,
    as_row,
    status,
)

__all__ = [
    "Change",
    "HookChoice",
    "HookKind",
    "State",
    "Status",
    "as_row",
    "found_clients",
    "has_scope",
    "install",
    "settings_path",
    "status",
    "uninstall",
]
