"""Find the sessions of Kilo."""

from typing import Final

from khive_persist.tools.opencode.discovery import transcripts

TRANSCRIPTS: Final = transcripts("kilo", "KILO_DB")
