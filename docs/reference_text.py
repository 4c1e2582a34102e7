"""Reference pages as Markdown, made from the program itself: commands, HTTP, settings, events, SQL.

Run by `docs/conf.py` in place of `<!-- generated: NAME -->`, and by the tests of the documents.
"""

import json
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import anyio
import click

from khive_persist.cli.man_page import man_page
from khive_persist.cli.root import COMMANDS, root
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.project import Project
from khive_persist.settings import GUARDED, HOME_ONLY, Settings
from khive_persist.tools import TOOLS, OwnFiles, Registration

_ROOT: Final = Path(__file__).parents[1]
_WIDTH: Final = 88
_LINK: Final = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")
# Pages of the site that are files of the repository's root.
SHOWN_FILES: Final = {
    "explanation/architecture": "ARCHITECTURE.md",
    "explanation/security": "SECURITY.md",
    "explanation/contributing": "CONTRIBUTING.md",
    "explanation/changelog": "CHANGELOG.md",
}
_SETTING: Final = re.compile(r"# (\w+) = (.*)")


def root_file(page: str) -> str:
    """Return the text of a file of the root, with the links that it has on its page of the site."""
    pages = {file: f"../{name}.md" for name, file in SHOWN_FILES.items()}
    pages["README.md"] = "../index.md"

    def moved(match: re.Match[str]) -> str:
        target = pages.get(match[1]) or f"../{match[1].removeprefix('docs/')}"
        return f"]({target}{match[2] or ''})"

    return _LINK.sub(moved, (_ROOT / SHOWN_FILES[page]).read_text("utf-8"))


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield each command and sub-command: its words after `khive-persist`, in order of names."""
    top = click.Context(root, info_name="khive-persist")
    for name in COMMANDS:
        command = root.get_command(top, name)
        assert command is not None
        yield from _with_subcommands(name, command, top)


def _with_subcommands(
    words: str, command: click.Command, parent: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context = click.Context(command, info_name=words.split()[-1], parent=parent)
    # The options of help are those of the root, as when the command is run.
    context.help_option_names = ["-h", "--help"]
    context.terminal_width = context.max_content_width = _WIDTH
    yield words, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _with_subcommands(f"{words} {name}", child, context)


def cli() -> str:
    """Return the help text of each command under a heading of its own."""
    parts = []
    for words, command, context in commands():
        level = "#" * (2 + words.count(" "))
        parts.append(f"{level} {words}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def man() -> str:
    """Return the man page, which lies beside the pages of the site."""
    return man_page(
        click.Context(root, info_name="khive-persist", help_option_names=["-h", "--help"])
    )


def settings() -> str:
    """Return each setting of config.toml: what it does, its default, and whose word counts."""
    parts: list[str] = []
    comment: list[str] = []
    section = ""
    for line in files("khive_persist").joinpath("config.toml").read_text("utf-8").splitlines():
        if line.startswith("["):
            section, comment = line.strip("[]"), []
            parts.append(f"## {section}\n")
        elif not line:
            comment = []
        elif section and (match := _SETTING.fullmatch(line)):
            parts += [_setting(f"{section}.{match[1]}", match[2]), " ".join(comment) + "\n"]
            comment = []
        else:
            comment.append(line.removeprefix("# "))
    return "\n".join(parts)


def _setting(name: str, shown: str) -> str:
    field = name.replace(".", "_", 1)
    default = Settings()._asdict()[field]
    written = list(default) if isinstance(default, tuple) else default
    text = f"### {name}\n\nDefault: `{json.dumps(written)}`"
    if tomllib.loads(f"shown = {shown}")["shown"] != written:
        text += f", for example: `{shown}`"
    if field in HOME_ONLY:
        return text + ". Counts in the home's config.toml alone.\n"
    return text + (". Counts after `trust --keep`.\n" if field in GUARDED else ".\n")


def events() -> str:
    """Return a table for each tool: its events, their types, and how they can be registered."""
    parts = []
    for tool in TOOLS.values():
        parts.append(f"## {tool.title}\n")
        rows = []
        for hook in tool.registration.hooks:
            kinds = _event_types(tool.name, hook.event)
            notes = [f"since {hook.since}"] if hook.since else []
            notes += ["on request (`gemini.model_events`)"] if hook.model else []
            rows.append(
                f"| `{hook.event}` | {', '.join(f'`{kind}`' for kind in kinds)} "
                f"| {'yes' if hook.http else 'no'} | {'; '.join(notes)} |"
            )
        parts += ["| event | `event_type` | over HTTP | note |", "|---|---|---|---|", *rows, ""]
        parts.append(_places(tool.registration))
    return "\n".join(parts)


def _places(registration: Registration | OwnFiles) -> str:
    """Return the line that says where the hooks of a tool are."""
    if isinstance(registration, OwnFiles):
        label = "Files of ours in"
        places = [("project", registration.project_folder), ("user", registration.user_folder)]
    else:
        label = "Settings files:"
        places = [
            ("project", registration.project_file),
            ("local", registration.local_file),
            ("user", registration.user_file),
        ]
    shown = [f"`{'~/' * (s == 'user')}{path}` ({s})" for s, path in places if path]
    return f"{label} {', '.join(shown)}.\n"


def _event_types(tool: str, event: str) -> list[str]:
    """Return the types of an event: one, or one for each kind of the tools that it is about."""
    describe = TOOLS[tool].describe
    names = ["", *_tool_names(tool)] if "Tool" in event else [""]
    payloads = ({"hook_event_name": event, "tool_name": name} for name in names)
    return list(dict.fromkeys(str(describe(payload)["event_type"]) for payload in payloads))


def _tool_names(tool: str) -> list[str]:
    """Return the names of tools that the samples of a client call, in their order."""
    samples = files("khive_persist").joinpath("samples", f"{tool}.jsonl")
    text = samples.read_text("utf-8") if samples.is_file() else ""
    payloads = (json.loads(line) for line in text.splitlines())
    return list(dict.fromkeys(p["tool_name"] for p in payloads if p.get("tool_name")))


def tables() -> str:
    """Return the files, tables and views of the SQL contract, with the columns of each view."""
    seen: dict[str, list[Purpose]] = {}
    for purpose in BUILT_IN:
        seen.setdefault(purpose.view, []).append(purpose)
    parts = []
    for view, purposes in seen.items():
        first = purposes[0]
        names = ", ".join(f"`{purpose.file}`" for purpose in purposes)
        columns = ["id", "created_at", *first.column_names().values()]
        parts.append(
            f"### {view}\n\nTable `{first.table}` in {names}.\n\n"
            f"Columns: {', '.join(f'`{column}`' for column in columns)}.\n\n"
            f"Indexes: {'; '.join(_index(paths) for paths in first.indexes)}.\n"
        )
    return "\n".join(parts)


def _index(paths: tuple[str, ...]) -> str:
    return ", ".join("`created_at`" if path == "created_at" else f"`$.{path}`" for path in paths)


async def _openapi(folder: Path) -> dict[str, Any]:
    from khive_persist.server.app import routes
    from khive_persist.server.context import close_context, open_context
    from khive_persist.server.http.limits import Limits
    from khive_persist.server.openapi.document import openapi
    from khive_persist.server.team.app import routes_of_team
    from khive_persist.server.team.team_parts import make_context

    project = Project(folder)
    project.make()
    serving = await open_context(project, "127.0.0.1", Limits())
    try:
        team = make_context(project, serving.live, Limits(), "postgresql://localhost/team")
        return openapi(serving.access, [*routes(serving), *routes_of_team(team)])
    finally:
        await close_context(serving)


def http_document() -> dict[str, Any]:
    """Return the OpenAPI document of a server with no records, with the routes of a team's."""
    with tempfile.TemporaryDirectory() as folder:
        return anyio.run(_openapi, Path(folder))


def http() -> str:
    """Return each operation of the OpenAPI document: its parameters, its body and its answers."""
    parts = []
    for path, methods in http_document()["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{_sentence(operation)}\n")
            parts += _parameters(operation.get("parameters", []))
            body = operation.get("requestBody", {}).get("content", {})
            if body:
                parts.append(f"Body: {', '.join(f'`{kind}`' for kind in body)}.\n")
            good = {c: r for c, r in operation["responses"].items() if c.startswith(("2", "3"))}
            for code, answer in good.items():
                kinds = ", ".join(f"`{kind}`" for kind in answer.get("content", {}))
                parts.append(
                    f"{code}: {_escaped(answer['description'])}{kinds and f' ({kinds})'}\n"
                )
            others = sorted(set(operation["responses"]) - set(good))
            parts.append(f"Errors: {', '.join(others)}.\n")
    return "\n".join(parts)


def _sentence(operation: Mapping[str, Any]) -> str:
    text = "\n\n".join(operation[key] for key in ("summary", "description") if operation.get(key))
    return _escaped(text)


def _parameters(parameters: list[Mapping[str, Any]]) -> list[str]:
    if not parameters:
        return []
    rows = [
        f"| `{one['name']}` | {one['in']} | {_type(one.get('schema', {}))} "
        f"| {_escaped(one.get('description', ''))} |"
        for one in parameters
    ]
    return ["| parameter | in | type | meaning |", "|---|---|---|---|", *rows, ""]


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("enum"):
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_type(schema.get('items', {}))}, repeatable"
    return str(schema.get("type", "any"))


def _escaped(text: str) -> str:
    """Return prose that Markdown shows as it is, on one line of a table."""
    return re.sub(r"([|<>\[\]*_])", r"\\\1", " ".join(text.split()))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "cli": cli,
    "settings": settings,
    "events": events,
    "tables": tables,
    "http": http,
}
