"""Find the transcripts of Droid."""

from typing import Final

from khive_persist.tools.transcripts import NO_TRANSCRIPTS

TRANSCRIPTS: Final = NO_TRANSCRIPTS
