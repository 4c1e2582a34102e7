"""Write what mended an error, and who touched a file: `search --fixes` and `search --file`."""

from collections.abc import Iterator
from typing import Final

import click

from khive_persist.cli.cells import cell
from khive_persist.cli.output import Documents, print_json
from khive_persist.cli.times import times
from khive_persist.sessions.file_history import FileHistory, FileTouch
from khive_persist.sessions.fixes import Fix, FixResult, FixStep

_INDENT: Final = "    "
_LINES: Final = 8
_REASON_CHARACTERS: Final = 200


def print_fixes(result: FixResult, form: str) -> None:
    """Print what mended an error; JSON Lines has one fix a line."""
    if form == "json":
        print_json(result)
    elif form == "jsonl":
        output = Documents(form)
        for fix in result.fixes:
            output.write(fix)
        output.end()
    else:
        for fix in result.fixes:
            for line in _fix_lines(fix):
                click.echo(line)
        click.echo(_fixes_summary(result), err=True)


def print_file(history: FileHistory, form: str) -> None:
    """Print who touched a file; JSON Lines has one call a line."""
    if form == "json":
        print_json(history)
    elif form == "jsonl":
        output = Documents(form)
        for touch in history.touches:
            output.write(touch)
        output.end()
    else:
        reasons: tuple[str, ...] = ()
        for touch in history.touches:
            for line in _touch_lines(touch, reasons):
                click.echo(line)
            reasons = _reasons(touch)
        click.echo(_file_summary(history), err=True)


def _fix_lines(fix: Fix) -> Iterator[str]:
    title = f"  {cell(fix.title)}" if fix.title else ""
    yield click.style(f"{_time(fix.failed_at)}  {cell(fix.session_id)}", bold=True) + title
    yield f"{_INDENT}{click.style('failed', fg='red')}   {cell(fix.failed_call)}"
    for text in fix.error.splitlines()[:_LINES]:
        yield _INDENT * 3 + click.style(cell(text), dim=True)
    for step in fix.steps:
        yield from _step_lines(step)
    if fix.omitted:
        yield click.style(f"{_INDENT}… {fix.omitted} more steps", dim=True)
    worked = click.style("worked", fg="green")
    yield f"{_INDENT}{worked}   {cell(fix.mended_call)}  {_time(fix.mended_at)}"
    if fix.recurred_at is not None:
        yield (
            f"{_INDENT}{click.style('came back', fg='red')} {fix.recurred} times,"
            f" last {_time(fix.recurred_at)}"
        )


def _step_lines(step: FixStep) -> Iterator[str]:
    mark = "  failed" if step.failed else ""
    yield f"{_INDENT}{step.kind:<8} {cell(step.title)}{mark}"
    for text in step.lines[:_LINES]:
        colour = {"+": "green", "-": "red"}.get(text[:1]) if step.kind == "edit" else None
        yield _INDENT * 3 + click.style(cell(text), fg=colour, dim=colour is None)


def _touch_lines(touch: FileTouch, printed_reasons: tuple[str, ...]) -> Iterator[str]:
    reasons = _reasons(touch)
    if reasons != printed_reasons:
        for text in reasons:
            yield click.style(text, fg="cyan")
    agent = f" agent {cell(touch.agent_id)}" if touch.agent_id else ""
    mark = "  failed" if touch.failed else ""
    yield (
        f"{_time(touch.at)}  {touch.change:<8} {cell(touch.call)}{mark}"
        + click.style(f"  {cell(touch.client)} {cell(touch.session_id)}{agent}", dim=True)
    )
    for text in touch.lines[:_LINES]:
        colour = {"+": "green", "-": "red"}.get(text[:1])
        yield _INDENT * 3 + click.style(cell(text), fg=colour, dim=colour is None)


def _reasons(touch: FileTouch) -> tuple[str, ...]:
    return tuple(
        f"{reason.kind}: {cell(' '.join(reason.text.split()), _REASON_CHARACTERS)}"
        for reason in touch.reasons
    )


def _fixes_summary(result: FixResult) -> str:
    if not result.matched:
        return "no call failed with this error"
    summary = f"{result.matched} calls failed with it, in {result.sessions} sessions"
    if not result.mended:
        return f"{summary}; no later call of their kind succeeded"
    remainder = "" if result.is_whole else ", in the 30 sessions that were looked at"
    unit = "time" if result.mended == 1 else "times"
    return f"{summary}; mended {result.mended} {unit}{remainder}, {result.shown} shown"


def _file_summary(history: FileHistory) -> str:
    names = ", ".join(cell(name) for name in history.names)
    if not history.matched:
        return f"no recorded call touched {names}"
    return (
        f"{history.matched} calls touched {names}, in {history.sessions} sessions;"
        f" {history.shown} shown"
    )


def _time(text: str) -> str:
    return times().text(text)
