"""Sphinx's settings: Markdown in, a site of plain files out that asks no other address."""

import os
import re
import sys
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
# What the OpenAPI document is asked of is a project that is made here: its mark goes with it.
_home = tempfile.TemporaryDirectory()
os.environ["KHIVE_HOME"] = _home.name

from docs.reference_text import PAGES, SHOWN_FILES, man, root_file  # noqa: E402

project = "khive-persist"
author = "the authors of khive-persist"
version = release = installed(project)
html_title = f"{project} {version}"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
# Summaries of results are fetched, which pages that are opened as files may not do.
html_show_search_summary = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 4

# In docstrings, as in Markdown, what stands between backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def _fill_in(_app: Sphinx, name: str, source: list[str]) -> None:
    if name in SHOWN_FILES:
        source[0] = root_file(name)
    source[0] = _MARK.sub(lambda match: PAGES[match[1]](), source[0])


def _write_man_page(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        Path(app.outdir, "khive-persist.1").write_text(man(), "utf-8")


# What is not between backticks, and would be emphasis, a link or a substitution there.
_PROSE = re.compile(r"(`[^`]*`)|([*|])|(?<=\w)_(?!\w)")
_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises):")


def _prepare_docstring(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Make reStructuredText of a docstring, whose forms are backticks, sections and programs."""
    text: list[str] = []
    in_program = in_section = False
    for line in lines:
        is_indented = line.startswith("    ")
        if line and not is_indented:
            in_program, in_section = False, _SECTION.fullmatch(line) is not None
        if is_indented and not in_section and not in_program and text and not text[-1]:
            text += ["::", ""]
            in_program = True
        text.append(line if in_program else _PROSE.sub(_escaped, line))
    lines[:] = text


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match[1] else f"\\{match[0]}"


def _shorten_types(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Name types of attributes without their modules, as signatures do."""
    for number, line in enumerate(lines):
        if line.startswith(":vartype"):
            lines[number] = re.sub(r"\bkhive_persist(?:\.\w+)*\.(\w+)", r"\1", line)


def _skips(
    _app: Sphinx, _what: str, _name: str, member: object, _skip: bool, _options: object
) -> bool | None:
    """Leave out fields of a named tuple: the docstring of its class explains them."""
    return True if type(member).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> None:
    """Have generated text put into the pages, and docstrings read as they are written."""
    app.connect("source-read", _fill_in)
    app.connect("build-finished", _write_man_page)
    # Before napoleon, which makes fields of the sections.
    app.connect("autodoc-process-docstring", _prepare_docstring, priority=100)
    app.connect("autodoc-process-docstring", _shorten_types, priority=900)
    app.connect("autodoc-skip-member", _skips)
