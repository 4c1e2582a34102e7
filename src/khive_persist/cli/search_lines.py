"""Write the hits of a search for a person: by session, a line a hit, with its matches marked."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import click
from rich.cells import cell_len, chop_cells

from khive_persist.cli.cells import cell
from khive_persist.cli.screen import is_screen, screen_width
from khive_persist.cli.times import times
from khive_persist.search_index.result import Mark, SearchHit, SearchResult, SessionHits

_INDENT: Final = "  "
_KIND_CELLS: Final = len("application")
_TOOL_CELLS: Final = 14
_LEAST_CELLS: Final = 20
_CUT: Final = "…"


class _Text(NamedTuple):
    """A text on one line, with what is marked in it."""

    text: str
    marks: list[Mark]


def lines_of(result: SearchResult, short_ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the sessions with hits.

    On a terminal a line fits, and ids are short where they have a short form; in a pipe both are
    whole.
    """
    instants = times().texts(
        [hit.created_at for session in result.sessions for hit in session.hits]
    )
    next_instant = iter(instants)
    for session in result.sessions:
        yield _heading(session, short_ids)
        for hit in session.hits:
            yield _line(hit, next(next_instant))


def summary_of(result: SearchResult) -> str:
    """Return the line below: how much matched, how much is shown, and what the index lacks."""
    if not result.matched:
        return index_state(result)
    matches = "match" if result.matched == 1 else "matches"
    if result.mode == "hybrid":
        matches = "with the words or near in meaning"
    count = len(result.sessions)
    sessions = "1 session" if count == 1 else f"{count} sessions"
    return f"{result.shown:,} of {result.matched:,} {matches}, {sessions}; {index_state(result)}"


def index_state(result: SearchResult) -> str:
    """Say whether the index has all that is recorded."""
    if result.behind is None:
        return "the index is being made: there may be more"
    if result.behind:
        return f"the index lacks the latest {result.behind:,} changes"
    return "the index is up to date"


def _heading(session: SessionHits, short_ids: Mapping[str, str]) -> str:
    id = session.session_id
    name = cell(short_ids.get(id, id), None) if id else "no session"
    heading = click.style(name, fg="yellow", bold=True)
    if not session.title:
        return heading
    title = cell(session.title, None)
    if is_screen():
        title = _fitted(_Text(title, []), screen_width() - cell_len(name) - 2).text
    return f"{heading}  {click.style(title, bold=True)}"


def _line(hit: SearchHit, instant: str) -> str:
    tool = cell(hit.tool_name, None)
    if is_screen() and cell_len(tool) > _TOOL_CELLS:
        tool = chop_cells(tool, _TOOL_CELLS - 1)[0] + _CUT
    kind = click.style(hit.kind.ljust(_KIND_CELLS), fg="red" if hit.failed else "cyan")
    prefix = f"{_INDENT}{click.style(instant, dim=True)}  {kind}  {tool.ljust(_TOOL_CELLS)}  "
    text = _on_one_line(hit)
    if is_screen():
        room = screen_width() - cell_len(click.unstyle(prefix))
        text = _fitted(text, max(_LEAST_CELLS, room))
    return prefix + _marked(text)


def _on_one_line(hit: SearchHit) -> _Text:
    """Return an excerpt with one space for each run of white space."""
    characters: list[str] = []
    places = []
    for character in hit.excerpt:
        places.append(len(characters))
        if not character.isspace():
            characters.append(character)
        elif characters and characters[-1] != " ":
            characters.append(" ")
    places.append(len(characters))
    marks = [Mark(places[mark.start], places[mark.end]) for mark in hit.marks]
    return _Text("".join(characters), marks)


def _fitted(text: _Text, width: int) -> _Text:
    """Cut a text to so many cells, with the first mark in it."""
    if cell_len(text.text) <= width:
        return text
    first = text.marks[0].start if text.marks else 0
    start = max(0, min(first - width // 4, len(text.text) - width))
    opening = _CUT if start else ""
    ending = text.text[start + len(opening) :]
    if cell_len(ending) > width - len(opening):
        ending = chop_cells(ending, width - len(opening) - 1)[0] + _CUT
    end = start + len(opening) + len(ending)
    marks = [
        Mark(max(0, mark.start - start), min(mark.end, end) - start)
        for mark in text.marks
        if mark.end > start and mark.start < end
    ]
    return _Text(opening + ending, marks)


def _marked(text: _Text) -> str:
    parts, at = [], 0
    for mark in text.marks:
        parts.append(cell(text.text[at : mark.start], None))
        matched = cell(text.text[mark.start : mark.end], None)
        parts.append(click.style(matched, fg="green", bold=True) if matched else "")
        at = mark.end
    return "".join(parts) + cell(text.text[at:], None)
