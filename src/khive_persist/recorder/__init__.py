"""The process that groups commits for the server. It knows no HTTP."""

from typing import Final

# Of the server, too. Python's own 5 ms pass, where a thread computes, each time that another has
# called the system and goes on: who answers requests does so several times for each.
SWITCH_SECONDS: Final = 0.0005
