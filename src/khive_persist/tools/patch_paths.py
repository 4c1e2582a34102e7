"""Find the paths of the files that a patch is for, in the form that models of OpenAI write."""

import re
from typing import Final

_BEGIN: Final = "*** Begin Patch"
_PATH: Final = re.compile(
    r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+?)\r?$", re.MULTILINE
)


def paths_in(text: str) -> list[object]:
    """Return the paths, in order; none where the text has no patch."""
    return _PATH.findall(text) if _BEGIN in text else []
