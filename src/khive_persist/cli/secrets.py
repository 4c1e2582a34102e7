"""Secrets of the command line, in environment variables: others see the words of a process."""

import os

from khive_persist.errors import InvalidSettingsError


def secret_of(variable: str | None) -> str:
    """Return the secret in an environment variable; empty where none is named.

    Raises:
        InvalidSettingsError: The variable is not set.
    """
    if variable is None:
        return ""
    secret = os.environ.get(variable, "")
    if not secret:
        raise InvalidSettingsError(f"the environment variable {variable} is not set")
    return secret
