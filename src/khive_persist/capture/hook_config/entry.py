"""`Entry`: one of our hooks, in whatever form a tool's settings have it."""

from typing import NamedTuple

from khive_persist.capture.hook_config.json_edit import Step


class Target(NamedTuple):
    """The URL or the command that gets an event.

    Attributes:
        url: The URL that it is sent to, or an empty string for a command.
        command: The command that is run, or an empty string for an HTTP hook.
        args: The arguments of a command that is a program, run without a shell.
    """

    url: str = ""
    command: str = ""
    args: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One of our hooks.

    Attributes:
        event: The event that it is registered for.
        target: The URL or command that gets the event.
        is_whole: Whether it has all that this needs.
        way: The steps from the root of a JSON file to it.
        position: Its position among the hooks of a TOML file.
    """

    event: str
    target: Target
    is_whole: bool = True
    way: tuple[Step, ...] = ()
    position: int = 0
