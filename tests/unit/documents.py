"""The documents of the project, and what stands in them: blocks of programs, links, headings."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = (*sorted(ROOT.glob("*.md")), *PAGES)

_BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a document.

    Attributes:
        name: The document and the number of the block in it.
        language: The word after the fence.
        text: The lines between the fences.
    """

    name: str
    language: str
    text: str


def name_of(document: Path) -> str:
    """Return the path of a document below the root."""
    return str(document.relative_to(ROOT))


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of some languages in all documents."""
    return [
        Block(f"{name_of(document)}-{number}", language, text)
        for document in DOCUMENTS
        for number, (language, text) in enumerate(_BLOCK.findall(document.read_text("utf-8")))
        if language in languages
    ]


def prose(document: Path) -> str:
    """Return the text of a document without its blocks."""
    return _BLOCK.sub("", document.read_text("utf-8"))


def links(document: Path) -> list[str]:
    """Return the targets of the links and pictures of a document."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", prose(document)))


def anchors(document: Path) -> set[str]:
    """Return the anchors of the headings of a document, as they are spelled for links."""
    words = (
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(document))
    )
    return {text.strip().replace(" ", "-") for text in words}
