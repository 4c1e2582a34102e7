"""`khive-persist open`."""

from functools import partial
from threading import Thread
from urllib.parse import quote

import anyio
import click

from khive_persist.capture.drain import usable_settings
from khive_persist.cli import completions
from khive_persist.cli.commands.serve import needs_packages
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, project_of, with_project
from khive_persist.cli.output import warn
from khive_persist.errors import KhiveError, NotFoundError
from khive_persist.project import Project
from khive_persist.search_index.link import is_link, parse_link
from khive_persist.sessions.read import is_known, whole_id
from khive_persist.settings import Settings

# The names in the bar of the dashboard, with their addresses.
_PAGES = {
    "overview": "", "sessions": "#/sessions", "events": "#/events", "plans": "#/plans",
    "applications": "#/application_sessions", "compare": "#/compare", "report": "#/report",
    "health": "#/health",
}  # fmt: skip


@click.command("open")
@click.argument("page", required=False, shell_complete=completions.sessions,
                metavar="[PAGE|SESSION|LINK]")  # fmt: skip
@click.option("--print", "is_printed", is_flag=True,
              help="Print the address that logs in, and open nothing.")  # fmt: skip
@with_project
def command(page: str | None, is_printed: bool) -> int:
    """Open the dashboard in your browser, logged in.

    \b
      khive-persist open
      khive-persist open plans
      khive-persist open 3aeaa724
      khive-persist open "khive-persist://session/3aeaa724?record=01a1fbc0"
      khive-persist open --print

    PAGE is overview, sessions, events, plans, applications, compare, report or health; SESSION an
    id, or the beginning of one; LINK the address of a record, as a search answers it, which is
    opened at its entry. Where no server of the project runs, this command is one, until
    Ctrl-C; `serve --install` has one that stays.

    The address holds a code that is good for one visit within a minute, and no token. A browser
    that may not read .khive/open.html, as in a sandbox, shows nothing: give it what --print prints.
    """
    needs_packages()
    from khive_persist.server.browser_login import is_running

    project = project_of()
    fragment = _fragment(page)
    settings = usable_settings(project)
    show = partial(_show, project, settings, fragment, is_printed)
    if is_running(project):
        return DONE if show() else FAILED
    from khive_persist.recorder import logs
    from khive_persist.server.run import Options, serve

    def ready(url: str) -> None:
        click.echo(f"no server ran: {url} serves {project.khive} until Ctrl-C", err=True)
        # The server answers itself: it must not wait here.
        Thread(target=_show_at_start, args=(show,), daemon=True).start()

    logs.set_up(as_json=False)
    serve(project, settings, Options(), ready)
    return DONE


def _fragment(page: str | None) -> str:
    if page is None:
        return ""
    if page in _PAGES:
        return _PAGES[page]
    if is_link(page):
        return _linked(drained_project(), page)
    return f"#/sessions/{quote(anyio.run(whole_id, drained_project(), page), safe='')}"


def _linked(project: Project, text: str) -> str:
    link = parse_link(text)
    if not anyio.run(is_known, project, link.session_id):
        raise NotFoundError(
            f"the link names a session that is not recorded in {project.khive}:"
            f" {link.session_id!r}",
            hint="it may be of another project: khive-persist --dir PROJECT open LINK",
        )
    return f"#/open?link={quote(str(link), safe='')}"


def _show(project: Project, settings: Settings, fragment: str, is_printed: bool) -> bool:
    from khive_persist.server.browser_login import login_url, open_browser

    url = login_url(project, settings) + fragment
    if is_printed:
        click.echo(url)
        return True
    if open_browser(project, url):
        click.echo(f"opened {url.partition('/login/')[0]} in your browser", err=True)
        return True
    warn("there is no browser here: open this address, within a minute")
    click.echo(url)
    return False


def _show_at_start(show: "partial[bool]") -> None:
    try:
        show()
    except (KhiveError, OSError) as error:
        warn(str(error))
