"""The command `khive-persist`."""

from khive_persist.cli.root import main

__all__ = ["main"]
