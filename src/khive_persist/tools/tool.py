"""`Tool`: what the rest of the program needs to know of one AI tool."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Scope = Literal["project", "local", "user"]
# How a tool call ended: denied and interrupted is not failed. `invalid` is a call that the client
# refuses by itself: a tool that is not there, an input that does not fit. `refused` is one that the
# tool refuses once it has looked closer: a patch that does not apply.
Ending = Literal["done", "failed", "denied", "interrupted", "invalid", "refused", "unknown"]
Form = Literal["groups", "root groups", "flat", "toml"]


def nothing_omitted(_payload: Mapping[str, object]) -> dict[str, object] | None:
    """Return None, as `Tool.without_conversation` of a tool that repeats no conversation."""
    return None


def same_name(tool_name: str) -> str:
    """Return a tool's name as it is, as `Tool.hook_name` of a client with one name for each."""
    return tool_name


def nothing_recognised(_payload: Mapping[str, object]) -> bool:
    """Return False, as `Tool.sends` of a tool whose keys are others', too."""
    return False


def comes_once(_payload: Mapping[str, object]) -> str:
    """Return no key, as `Tool.event_key` of a tool that brings each event to one hook."""
    return ""


class Hook(NamedTuple):
    """One event to register our command for.

    Attributes:
        event: The tool's name of the event.
        timeout: The timeout in the tool's unit.
        matcher: The choice among these events; an empty string for all, without a matcher.
        model: Whether it fires around each call of the model, and is registered only when asked.
        http: Whether it may go to a server instead: the tool delivers it over HTTP, and when no
            server takes it, the transcript has what it was about.
        blocks: Whether some client that runs such hooks stops the user's work where the hook ends
            with another code than 0.
        since: The first version of the tool that knows the event; an empty string where all do
            that run hooks.
    """

    event: str
    timeout: int
    matcher: str = ""
    model: bool = False
    http: bool = False
    blocks: bool = False
    since: str = ""


class Program(NamedTuple):
    """The places where the versions of a tool on this machine are found.

    Attributes:
        name: The tool's program on PATH.
        paths: Other places of it, below the home directory or from the root.
        folders: Patterns below the home directory of folders that hold it and end in its version.
        oldest: The version to assume where none is found.
    """

    name: str
    paths: tuple[str, ...]
    folders: tuple[str, ...]
    oldest: str


class Registration(NamedTuple):
    """The settings files of a tool, and the form of its hooks in them.

    Attributes:
        project_file: The settings file below the project's directory.
        local_file: The same for this person alone, or an empty string where the tool has none.
        user_file: The settings file below the home directory.
        user_variable: An environment variable that moves the user's settings, and
        user_variable_file: the settings file below the directory that it names.
        hooks: The events that a recorder may register for: those that the hook's being there does
            not change.
        entry_name: The `name` of our entry, or an empty string where the tool has no such key.
        comments: Whether the tool reads a settings file with `//` and `/* */` comments.
        runs_once: Whether the same command in both scopes runs once an event, and not twice.
        program: The places of its versions, where an event that one does not know does harm.
        topmost: The name that lies in the topmost directory whose settings a session that begins
            below it has, too; an empty string where it has those of its own directory alone.
        by_hand: The steps that the user must do in the tool, by scope, as whole sentences.
        args_since: The first version that is known to start a program with `args`, without a shell;
            an empty string where the tool cannot.
        form: The form of the file. In `groups` an event has groups of hooks with a matcher, below
            `hooks`; in `root groups` the events stand at the top; in `flat` an event has its hooks
            themselves, below `hooks`; `toml` is a list `[[hooks]]` of tables.
        command_key: The key of a hook's command, and
        timeout_key: that of its timeout; an empty string where the tool has no such key.
        head: The members of a new file besides the hooks, as its version.
        has_type: Whether a hook has `"type": "command"`; in `toml` it has none.
    """

    project_file: str
    user_file: str
    user_variable: str
    user_variable_file: str
    hooks: tuple[Hook, ...]
    by_hand: Mapping[Scope, tuple[str, ...]]
    local_file: str = ""
    entry_name: str = ""
    comments: bool = False
    runs_once: bool = False
    program: Program | None = None
    topmost: str = ""
    args_since: str = ""
    form: Form = "groups"
    command_key: str = "command"
    timeout_key: str = "timeout"
    head: Mapping[str, object] = MappingProxyType({})
    has_type: bool = True


class OwnFiles(NamedTuple):
    """The files of ours that a tool loads or starts, where its hooks are no entries of settings.

    Attributes:
        project_folder: The folder of them below the project's directory; an empty string where the
            tool looks for none there.
        user_folder: The same below the home directory.
        contents: A function that returns the content of each file by its name, from a function that
            returns the command of an event: text for `sh -c`, as only a shell goes on to the Python
            hook where the compiled one is not there, and finds it in the home of whoever runs it.
            It may have any character, so that it is quoted as the file's language wants it. A file
            named as an event is for that event, any other for all. The names are always the same,
            and two lines of comment are put before each content, behind a `#!` line.
        hooks: The events that they send.
        by_hand: The steps that the user must do in the tool, by scope, as whole sentences.
        is_program: Whether the tool starts them, and each must be a program.
        user_variable: An environment variable that moves the user's folder, and
        user_variable_folder: the folder below the directory that it names.
        program: The places of its versions, as in `Registration`.
        runs_once: Whether what is in both scopes records an event once, and not twice.
        topmost: The name that lies in the topmost directory whose files a session that begins below
            it loads, too; an empty string where it loads those of its own directory alone.
    """

    project_folder: str
    user_folder: str
    contents: Callable[[Callable[[Hook], str]], Mapping[str, str]]
    hooks: tuple[Hook, ...]
    by_hand: Mapping[Scope, tuple[str, ...]]
    is_program: bool = False
    user_variable: str = ""
    user_variable_folder: str = ""
    program: Program | None = None
    runs_once: bool = False
    topmost: str = ""


class McpSettings(NamedTuple):
    """The settings files of a tool's servers of the Model Context Protocol, and their form.

    Attributes:
        project_file: The settings file below the project's directory.
        user_file: The same below the home directory.
        user_variable: An environment variable that moves the user's settings, and
        user_variable_file: the settings file below the directory that it names.
        table: The key of the servers, each of which has its name as its own key.
        form: In `json` a server has its program as `command` and the rest as `args`, in `list` all
            words as `command`; `toml` is a table `[TABLE.NAME]` with `command` and `args`.
        before: The members before the command, and
        behind: those behind it.
        comments: Whether the tool reads a settings file with `//` and `/* */` comments.
        by_hand: The steps that the user must take in the tool, as whole sentences.
    """

    project_file: str
    user_file: str
    user_variable: str = ""
    user_variable_file: str = ""
    table: str = "mcpServers"
    form: Literal["json", "list", "toml"] = "json"
    before: Mapping[str, object] = MappingProxyType({})
    behind: Mapping[str, object] = MappingProxyType({})
    comments: bool = False
    by_hand: tuple[str, ...] = ()


class Tool(NamedTuple):
    """One AI tool.

    Attributes:
        name: The name that `khive-hook --tool` takes.
        title: The name as its makers write it.
        describe: A function that returns the fields of an event's content from its payload, by the
            names of the SQL contract. It takes any JSON object, and raises nothing. A field that
            the payload does not have, or has as an empty string, is left out.
        registration: The form of its hooks in its settings, or in files of ours.
        call_events: Its names of the events before and after a tool call, and after one that
            failed.
        transcript_folders: The folders below which it keeps transcripts, wherever its home is.
        transcript_file: A pattern of a transcript's path below a folder that the user named; an
            empty string where none tells it from other tools'.
        without_conversation: A function that returns the payload without the conversation that it
            repeats, or None where it repeats none.
        sends: A function that tells whether a payload can be no other client's, by its keys.
        has_call_ids: Whether the events of a tool call have its id. Where they have none, a call of
            the transcript is matched with its events by the tool's name and input.
        has_times: Whether each payload has its event's own time in milliseconds, the same for all
            hooks that run for it: what comes twice is then one event.
        hook_name: A function that returns the name that events have for a tool of a transcript.
        endings: The beginnings of the client's own words, in small letters, where a call did not
            run, or not to its end; `"*"` stands for any name in quotes, `*` for one without.
        silent_tools: Its tools that fire no hook: they only speak to the client, or go on with a
            call that did.
        asks_first: Whether it asks its user before the hook of a call.
        ends_hooks: Whether it ends hooks before it has told them of their event: one that is told
            nothing has no event then.
        event_key: A function that returns what names an event that the tool brings to other
            clients' hooks, too: the same each time it comes, and of no other event; an empty string
            for one that comes once.
        mcp: The settings of the servers that it starts; None where it starts none.
    """

    name: str
    title: str
    describe: Callable[[Mapping[str, object]], dict[str, object]]
    registration: Registration | OwnFiles
    call_events: tuple[str, str, str]
    transcript_folders: tuple[str, ...]
    transcript_file: str = ""
    without_conversation: Callable[[Mapping[str, object]], dict[str, object] | None] = (
        nothing_omitted
    )
    sends: Callable[[Mapping[str, object]], bool] = nothing_recognised
    has_call_ids: bool = True
    has_times: bool = False
    hook_name: Callable[[str], str] = same_name
    event_key: Callable[[Mapping[str, object]], str] = comes_once
    ends_hooks: bool = False
    endings: Mapping[str, Ending] = MappingProxyType({})
    silent_tools: frozenset[str] = frozenset()
    asks_first: bool = False
    mcp: McpSettings | None = None
