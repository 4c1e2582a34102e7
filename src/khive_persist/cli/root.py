"""Find a sub-command, run it, and turn errors into one line and an exit code."""

import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final, NoReturn

import click
from click.shell_completion import CompletionItem

from khive_persist.cli.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USE
from khive_persist.cli.screen import wants_colour
from khive_persist.cli.standard_output import end_with_reader
from khive_persist.cli.suggestions import suggestion
from khive_persist.errors import InvalidQueryError, KhiveError

# Each in a module of its name, which is imported only when it is called.
COMMANDS: Final = {
    "backup": "Make, verify and restore backups.",
    "collect": "Store the records of a team that come over NATS.",
    "compare": "Compare groups of sessions, with honest statistics.",
    "completion": "Install the completion of commands for your shell.",
    "config": "Show, change and check the settings.",
    "demo": "Record sample sessions of three tools and look at them.",
    "doctor": "Say what is wrong: databases, spool, hooks, events without an end.",
    "events": "List hook events, newest first.",
    "experiment": "Divide sessions between variants, before their work begins.",
    "export": "Export records to a file for other programs.",
    "focus": "Show what an agent had on its to-do list, and when.",
    "help": "Show how a command is used.",
    "hooks": "Install, show or remove the recording hooks of your AI tools.",
    "import": "Import records from SOURCE: what export wrote, a mirror, or an old database.",
    "init": "Make .khive here.",
    "lineage": "Show who worked in a session, and where it came from.",
    "mcp": "Answer agents about recorded sessions, as a server of the Model Context Protocol.",
    "open": "Open the dashboard in your browser, logged in.",
    "outcome": "Say how a session ended.",
    "outcomes": "Set plans beside what became of them, the latest first.",
    "path": "Print which .khive is used here, and why that one.",
    "pause": "Stop recording: of all projects, of this one, or of one session.",
    "plans": "List plans, the latest first; show one with its phases and evaluations.",
    "projects": "List all projects that you trust.",
    "prune": "Remove what is too old or too much.",
    "purge": "Remove a session, to the last byte of it.",
    "push": "Send what is new to your team, in the form that you let leave.",
    "query": "Run SQL over all files, for reading only.",
    "rebuild": "Make one copy of the records anew from the other.",
    "record": "Record an event, a plan or a record of your own by hand.",
    "redact": "Replace secrets in text, or in what was stored before.",
    "replay": "Play a session as it happened, as a page, or to another recorder.",
    "report": "Report on a day or a week, beside the one before.",
    "resume": "Record again, and say what was not recorded, and for how long.",
    "schema": "Print the JSON Schema of the files in sessions/.",
    "search": "Search all that is recorded, by words and filters.",
    "serve": "Take events and records over HTTP, and show them.",
    "sessions": "List sessions, the latest first: what was planned and what happened.",
    "show": "Show a record, or a whole session.",
    "similar": "Show plans like yours, and how they ended.",
    "stats": "Count events, failures, plans and costs, and the records of your own kinds.",
    "sync": "Read the tools' transcripts: every message, once.",
    "tail": "Show the latest events, and follow new ones.",
    "team": "Say what leaves for your team, and keep a session out of it.",
    "trust": "Take a .khive for your own, after a look at what lies in it.",
    "uninstall": "Take recording out of this machine; what was recorded stays.",
    "verify": "Prove that both copies of the records are equal.",
}


class Root(click.Group):
    """A group that imports a sub-command when it is called, and lists them without importing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        file = f"{name}_" if iskeyword(name) else name
        module = import_module(f"khive_persist.cli.commands.{file}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_man_page(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from khive_persist.cli.man_page import man_page

        click.echo(man_page(context), nl=False)
        context.exit()


@click.group(
    cls=Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    help="The directory that holds .khive. Else KHIVE_DIR, or found upward from here, or home.",
)
@click.option("--man", is_flag=True, is_eager=True, expose_value=False, callback=_print_man_page,
              help="Print the man page: khive-persist --man | man -l -")  # fmt: skip
@click.version_option(None, "-V", "--version", package_name="khive-persist",
                      prog_name="khive-persist")  # fmt: skip
@click.pass_context
def root(context: click.Context, directory: str | None) -> None:
    """The flight recorder of AI coding agents.

    Every hook event and plan of your agents' sessions, in SQLite files that you can query.

    \b
      khive-persist init                          make .khive here
      khive-persist hooks install claude-code     record from now on
      khive-persist tail                          watch it
      khive-persist query "SELECT event_type, count(*) FROM events GROUP BY 1"
    """
    context.obj = directory
    context.color = wants_colour()
    if context.invoked_subcommand is None:
        from khive_persist.cli.first_steps import first_steps

        for line in first_steps():
            click.echo(line)


def main() -> NoReturn:
    """Run the command line: exit code 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    # As any filter of Unix: `khive-persist events | head` ends in silence.
    end_with_reader()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str], **options: Any) -> int:
    """Run one command line and return its exit code; errors go to stderr, one line each."""
    try:
        result = root.main(arguments, standalone_mode=False, prog_name="khive-persist", **options)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_USE
    except click.UsageError as error:
        return _fail(error.format_message() + suggestion(error, arguments), WRONG_USE)
    except InvalidQueryError as error:
        return _fail(str(error), WRONG_USE)
    except click.ClickException as error:
        return _fail(error.format_message(), FAILED)
    except (KhiveError, OSError) as error:
        return _fail(str(error), FAILED)
    except click.Abort:
        return _fail("interrupted", INTERRUPTED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # A mistake of ours; whoever called must still get one line.
        if os.environ.get("KHIVE_DEBUG"):
            raise
        kind = type(error).__name__
        return _fail(f"internal error: {kind}: {error} (KHIVE_DEBUG=1 shows where)", FAILED)
    return result if isinstance(result, int) else DONE


def _fail(message: str, code: int) -> int:
    from khive_persist.cli.cells import cell

    click.echo(f"khive-persist: {cell(' '.join(message.split()), None)}", err=True)
    return code
