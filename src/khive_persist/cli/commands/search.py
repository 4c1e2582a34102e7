"""`khive-persist search`."""

import math
import os
import sys
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import click

from khive_persist.cli.exit_codes import DONE, UNREAD
from khive_persist.cli.history_lines import print_file, print_fixes
from khive_persist.cli.options import (
    drained_project,
    short_ids_on_screen,
    with_filters,
    with_limit,
    with_output,
    with_project,
    with_times,
)
from khive_persist.cli.output import Documents, cell, print_json, warn
from khive_persist.cli.progress import progress
from khive_persist.cli.search_lines import index_state, lines_of, summary_of
from khive_persist.errors import (
    InvalidQueryError,
    InvalidSettingsError,
    KhiveError,
    MissingExtraError,
)
from khive_persist.project import Project
from khive_persist.search_index.follow import catch_up
from khive_persist.search_index.query import Query, parse
from khive_persist.search_index.result import SearchResult
from khive_persist.search_index.semantic.query_vector import QueryVector
from khive_persist.sessions import file_history, fixes
from khive_persist.sessions.file_history import search_file
from khive_persist.sessions.fixes import search_fixes
from khive_persist.sessions.search import criteria_of
from khive_persist.sessions.searcher import DEFAULT_LIMIT, Searcher, vector_of


@click.command("search")
@click.argument("words", nargs=-1)
@click.option("--fixes", "is_error", is_flag=True,
              help="WORDS are an error: what mended it before; - reads it from stdin.")  # fmt: skip
@click.option("--file", "file", metavar="PATH", help="Who touched this file, when and why.")
@click.option("--near", is_flag=True, help="Where nothing matches, words that are near.")
@click.option("--semantic", is_flag=True, help="Also what is near in meaning.")
@with_project
@with_filters("session", "tool", "tool_name", "since", "until", "failed")
@with_limit(default=DEFAULT_LIMIT)
@with_output
@with_times
def command(
    words: tuple[str, ...],
    is_error: bool,
    file: str | None,
    near: bool,
    semantic: bool,
    limit: int,
    form: str,
    **filter_options: Any,
) -> int:
    """Search all that is recorded: prompts, answers, commands, outputs, errors, plans, notes.

    \b
      khive-persist search deadlock
      khive-persist search '"database is locked" OR deadlock*' --since 1w
      khive-persist search timeout tool:Bash kind:error NOT pytest
      khive-persist search path:store/writer.py failed:yes --json
      khive-persist search --fixes "ModuleNotFoundError: No module named 'yaml'"
      make 2>&1 | khive-persist search --fixes -
      khive-persist search --file src/app.py

    Words are joined by AND; a "phrase" is in double quotes, and a word may be open at its end, as
    lock*. OR, NOT and parentheses are understood, and the filters path:, tool:, kind:, session:,
    since:, until:, failed:, client: and agent:. Parts of names are words: config finds parseConfig
    and parse_config.

    --fixes finds sessions in which a call failed with the same error, whatever its numbers and
    paths, and a later call of its kind succeeded: the same tool and file, or in a shell the same
    program for the same, as pytest or git push; and what was between. --file finds the calls that
    touched a file, however they spelled it and under the names that it had before, each with the
    prompt before it. Both read all that is recorded, take no filter, and need no index.

    --semantic also finds what says the same in other words, where search.semantic is set.

    What matched in all, what is shown and whether the index has everything is said on stderr. The
    first search makes the index, .khive/search.db. The exit code is 0 also where nothing matches,
    2 where the words cannot be understood, and 3 where nothing could be searched.
    """
    if is_error or file is not None:
        if near or semantic or any(filter_options.values()) or (is_error and file is not None):
            raise click.UsageError("--fixes and --file go without filters, and one at a time")
        return _history(words, file, limit, form)
    if not words:
        raise click.UsageError("give the words to search for")
    query = _query(" ".join(words), **filter_options)
    try:
        project = drained_project()
        with progress("records in the index") as advance:
            behind = catch_up(project, seconds=math.inf, advance=advance)
        vector = vector_of(project, query) if semantic else None
        result = anyio.run(_search, project, query, behind, limit, near, vector)
    except (InvalidQueryError, InvalidSettingsError, MissingExtraError):
        raise
    except (KhiveError, OSError) as error:
        warn(" ".join(str(error).split()))
        return UNREAD
    _print(project, result, form)
    return DONE


def _history(words: tuple[str, ...], file: str | None, limit: int, form: str) -> int:
    """Print what mended an error, or who touched a file."""
    if (file is None) != bool(words):
        raise click.UsageError("give the error to --fixes, and no words to --file")
    error = sys.stdin.read(fixes.MAX_CHARACTERS + 1) if words == ("-",) else " ".join(words)
    try:
        project = drained_project()
        if file is None:
            most = min(limit, fixes.MAX_LIMIT)
            result = anyio.run(partial(search_fixes, error, limit=most, project=project))
            print_fixes(result, form)
        else:
            path = os.path.abspath(file) if _is_below(project) else file
            most = min(limit, file_history.MAX_LIMIT)
            print_file(anyio.run(partial(search_file, path, limit=most, project=project)), form)
    except InvalidQueryError:
        raise
    except (KhiveError, OSError) as failure:
        warn(" ".join(str(failure).split()))
        return UNREAD
    return DONE


def _is_below(project: Project) -> bool:
    """Tell whether a relative path is meant from a directory of the project."""
    root = os.path.realpath(project.root)
    return os.path.commonpath((root, os.path.realpath(os.getcwd()))) == root


def _query(
    text: str,
    session_id: str | None,
    tool: str | None,
    tool_name: str | None,
    failed: bool,
    **instants: datetime | None,
) -> Query:
    filters: dict[str, str | datetime | None] = {
        "session": session_id,
        "client": tool,
        "tool": tool_name,
        "failed": "yes" if failed else None,
        **instants,
    }
    return parse(text).with_criteria(criteria_of(filters))


async def _search(
    project: Project,
    query: Query,
    behind: int | None,
    limit: int,
    near: bool,
    vector: QueryVector | None,
) -> SearchResult:
    async with Searcher(project=project) as searcher:
        return await searcher.search_index(query, behind, limit=limit, near=near, vector=vector)


def _print(project: Project, result: SearchResult, form: str) -> None:
    if result.vectors is not None and (sentence := result.vectors.sentence):
        warn(sentence)
    if form == "json":
        print_json(result)
    elif form == "jsonl":
        output = Documents(form)
        for session in result.sessions:
            about = {name: getattr(session, name) for name in ("session_id", "title", "project")}
            for hit in session.hits:
                output.write({**about, **hit._asdict()})
        output.end()
    else:
        ids = [session.session_id for session in result.sessions]
        short = anyio.run(short_ids_on_screen, project, ids)
        for line in lines_of(result, short):
            click.echo(line)
    if result.matched:
        click.secho(summary_of(result), err=True, dim=True)
        return
    place = f"nothing matches {cell(result.query)} in {cell(project.khive, None)}"
    click.echo(f"{place}; {index_state(result)}", err=True)
    if result.near:
        click.echo(f"near: {', '.join(cell(word) for word in result.near)}", err=True)
