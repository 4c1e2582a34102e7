"""Find the transcripts of Cursor: their form is not documented, so that none is read."""

from typing import Final

from khive_persist.tools.transcripts import NO_TRANSCRIPTS

TRANSCRIPTS: Final = NO_TRANSCRIPTS
