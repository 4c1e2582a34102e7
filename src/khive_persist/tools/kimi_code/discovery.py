"""Find the transcripts of Kimi Code."""

from typing import Final

from khive_persist.tools.transcripts import NO_TRANSCRIPTS

TRANSCRIPTS: Final = NO_TRANSCRIPTS
