"""Register our server in the settings of an AI tool, and take it out again."""

from khive_persist.mcp_server.registration.install import (
    SCOPES,
    McpScope,
    Registered,
    RegistrationChange,
    install,
    registered,
    settings_path,
    supporting_tools,
    uninstall,
)

__all__ = [
    "SCOPES",
    "McpScope",
    "Registered",
    "RegistrationChange",
    "install",
    "registered",
    "settings_path",
    "supporting_tools",
    "uninstall",
]
