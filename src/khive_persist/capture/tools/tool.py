"""`Tool`: what the rest of the program needs to know of one AI tool."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Scope = Literal["project", "user"]


def nothing_omitted(_payload: Mapping[str, object]) -> dict[str, object] | None:
    """`Tool.without_conversation` of a tool whose events do not repeat the conversation."""
    return None


class Hook(NamedTuple):
    """One event to register our command for.

    Attributes:
        event: The tool's own name of it.
        timeout: In the tool's own unit.
        matcher: Which of these events; an empty string registers for all, with no matcher written.
        model: Whether it fires around each call of the model, and is registered only when asked.
        http: Whether it may go to a server instead: the tool delivers it over HTTP, and when no
            server takes it, the transcript has what it was about.
    """

    event: str
    timeout: int
    matcher: str = ""
    model: bool = False
    http: bool = False


class Registration(NamedTuple):
    """Where and how a tool's hooks are registered.

    Attributes:
        project_file: The settings file below the project's directory.
        user_file: The settings file below the home directory.
        user_variable: An environment variable that moves the user's settings, and
        user_variable_file: the settings file below the directory that it names.
        hooks: The events that a recorder may register for: those that the hook's being there does
            not change.
        entry_name: The `name` of our entry, or an empty string where the tool has no such key.
        comments: Whether the tool reads a settings file with `//` and `/* */` comments.
        runs_once: Whether the same command in both scopes runs once an event, and not twice.
        off_switch: A path in the settings, and the value there that turns every hook off.
        by_hand: What the user must do in the tool, by scope, as whole sentences.
    """

    project_file: str
    user_file: str
    user_variable: str
    user_variable_file: str
    hooks: tuple[Hook, ...]
    entry_name: str
    comments: bool
    runs_once: bool
    off_switch: tuple[tuple[str, ...], bool] | None
    by_hand: Mapping[Scope, tuple[str, ...]]


class Tool(NamedTuple):
    """One AI tool.

    Attributes:
        name: As `khive-hook --tool` takes it.
        title: As its makers write it.
        describe: The fields of an event's content that the payload tells, by the names of the SQL
            contract. Takes any JSON object, raises nothing. A field that the payload does not
            have, or has as an empty string, is left out.
        registration: How its hooks are registered.
        without_conversation: The payload without the conversation that it repeats, or None where
            it repeats none.
    """

    name: str
    title: str
    describe: Callable[[Mapping[str, object]], dict[str, object]]
    registration: Registration
    without_conversation: Callable[[Mapping[str, object]], dict[str, object] | None] = (
        nothing_omitted
    )
