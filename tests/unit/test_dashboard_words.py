"""The dashboard's names of the clients are those that the program has."""

import re
from pathlib import Path

from khive_persist.models.purposes import OTHER_CLIENTS
from khive_persist.tools import TOOLS

_WORDS = Path(__file__).parents[2] / "web" / "src" / "lib" / "words.ts"


def test_every_client_has_its_name_in_the_dashboard() -> None:
    source = _WORDS.read_text().partition("export const TOOLS")[2].partition("as const")[0]
    names = dict(re.findall(r"\['([^']+)', '([^']+)'\]", source))
    assert {tool: names.get(tool) for tool in TOOLS} == {t.name: t.title for t in TOOLS.values()}
    assert names.keys() == {*TOOLS, *OTHER_CLIENTS}
