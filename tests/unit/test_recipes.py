"""What a recipe of CONTRIBUTING.md makes is whole: what is missing is named."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_type_hints

from khive_persist import models
from khive_persist.analytics.compare import metrics
from khive_persist.capture import spool_writer
from khive_persist.cli.root import COMMANDS
from khive_persist.models.node import Node
from khive_persist.models.purposes import BUILT_IN, EVENT_FILES, SCORES, Purpose
from khive_persist.models.records import RECORDS
from khive_persist.models.score import Score
from khive_persist.project import Project
from khive_persist.sessions.facts import SessionFacts
from khive_persist.sessions.listing import SessionSummary
from khive_persist.sessions.rollup.session_item import SessionItem
from khive_persist.tools import TOOLS, transcripts_of
from khive_persist.tools.transcripts import Transcripts
from tests.server import warm

ROOT = Path(__file__).parents[2]
# As a folder of `tools/`, which its name in the hook's list is enough for. With another one beside
# it no list of all kinds of records fits into the ten files that SQLite attaches.
WITH_MADE_UP_CLIENT = """
import sys
import tests.made_up_client
from khive_persist.capture import spool_writer
spool_writer.TOOLS += ("made-up", "another")
for name in ("made_up", "another"):
    sys.modules[f"khive_persist.tools.{name}"] = tests.made_up_client
from khive_persist.cli.root import run
sys.exit(run(sys.argv[1:]))
"""
# Where the import of ours begins, which comes after that.
THEN = "from khive_persist.cli.root import run\n"
FROM_HERE = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
# As three places are enough for: a purpose, its class, and the class's line.
WITH_MADE_UP_PURPOSE = """
import sys
import anyio
from khive_persist.models import purposes
made_up = purposes._built_in("made_ups", view="made", fields=("session_id", "colour"),
                             indexes=(("session_id", "created_at"),), document="made_up")
purposes.BUILT_IN += (made_up,)
purposes.BUILT_IN_NAMES |= {"made_ups"}
from khive_persist.models import records
from khive_persist.models.node import Node
from typing_extensions import TypedDict

class MadeUpContent(TypedDict):
    session_id: str
    colour: str

class MadeUp(Node):
    purpose = made_up
    content: MadeUpContent

records.RECORDS += (MadeUp,)
from khive_persist.cli.root import run
from khive_persist.opening import open_store

async def save():
    async with open_store(MadeUp, dir=sys.argv[2]) as store:
        await store.save(MadeUp(id="m", content={"session_id": "s", "colour": "red"}))

sys.exit(anyio.run(save) if sys.argv[3:] == ["save"] else run(sys.argv[1:]))
"""
# A field of each list that its SQL has, or has not.
WITH_MADE_UP_COLUMN = """
import sys
from typing import NamedTuple
import anyio
from khive_persist.sessions.rollup import session_item
from khive_persist.sessions import listing
from khive_persist.sessions.projects import sessions_of
from khive_persist.project import Project

def extended(row):
    return NamedTuple(row.__name__, [*row.__annotations__.items(), (sys.argv[4], int)])

listing.SessionSummary = extended(listing.SessionSummary)
session_item.SessionItem = extended(session_item.SessionItem)
from khive_persist.sessions.rollup.rollup import Rollup
for read in (
    lambda: anyio.run(sessions_of, Project(sys.argv[2]), listing.SessionFilter()),
    lambda: Rollup().set_rule(0.5),
):
    try:
        print(read())
    except Exception as error:
        print(error)
"""


def run_with(script: str, project: Project, *words: str, payload: str = "", code: int = 0) -> str:
    before, imports, program = script.partition(THEN)
    done = warm.run(
        imports + program, "--dir", str(project.root), *words,
        input=payload.encode(), before=FROM_HERE + before,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


def missing_of_clients(root: Path, tools: Sequence[str]) -> list[str]:
    """What is missing of the clients that have a name or a folder."""
    package = Path("src/khive_persist")
    folders = {path.parent.name for path in (root / package).glob("tools/*/__init__.py")}
    named = {tool.replace("-", "_"): tool for tool in tools}
    places = [
        place
        for folder, tool in named.items()
        for place in (
            package / "tools" / folder / "__init__.py",
            package / "tools" / folder / "hooks.py",
            package / "tools" / folder / "discovery.py",
            Path("tests/clients") / folder / "payloads.jsonl",
        )
        if tool not in EVENT_FILES or "clients" not in place.parts
    ]
    return [
        *(f"the name of {folder} in spool_writer.TOOLS" for folder in folders - named.keys()),
        *(str(place) for place in places if not (root / place).is_file()),
    ]


def test_each_client_is_a_folder_and_a_name() -> None:
    assert missing_of_clients(ROOT, spool_writer.TOOLS) == []
    assert all(TOOLS[tool].name == tool for tool in spool_writer.TOOLS)
    assert all(isinstance(transcripts_of(tool), Transcripts) for tool in spool_writer.TOOLS)


def test_what_is_missing_of_a_client_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "khive_persist" / "tools" / "begun"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    assert missing_of_clients(tmp_path, []) == ["the name of begun in spool_writer.TOOLS"]
    assert missing_of_clients(tmp_path, ["begun"]) == [
        "src/khive_persist/tools/begun/hooks.py",
        "src/khive_persist/tools/begun/discovery.py",
        "tests/clients/begun/payloads.jsonl",
    ]


def test_a_made_up_client_is_recorded_and_read_as_the_others(project: Project, home: Path) -> None:
    run = partial(run_with, WITH_MADE_UP_CLIENT, project)
    event = {"hook_event_name": "before", "session_id": "s", "cwd": str(project.root)}
    run("record", "hook-event", "--tool", "made-up", payload=json.dumps(event))
    line = {"said": "hello", "number": 1, "at": "2026-01-01T00:00:00Z", "cwd": str(project.root)}
    transcript = home / ".made-up" / "s.jsonl"
    transcript.parent.mkdir()
    transcript.write_text(json.dumps(line) + "\n")
    run("sync")
    (session,) = json.loads(run("sessions", "--json"))
    counts = (session["tool"], session["events"], session["messages"])
    assert counts == ("made-up", 1, 1)
    assert "hello" in run("show", "s")
    run("verify")
    run("record", "hook-event", "--tool", "codex", payload=json.dumps(event | {"session_id": "t"}))
    for words in ("stats", "report --at 2026-01-01", "lineage s"):
        run(*words.split())
    assert "made-up 0, codex 0" in run("compare", "--by", "tool", code=1)
    run("hooks", "install", "made-up")
    assert (project.root / ".made-up" / "hooks.json").is_file()
    run("experiment", "create", "prompt", "control=1", "new=1")
    for late, id in ((True, "s"), (False, "u")):
        assigned = json.loads(run("experiment", "assign", id, "prompt", "--json"))
        assert assigned["is_late"] is late


def missing_of_purposes(
    purposes: Sequence[Purpose], classes: Sequence[type[Node]], listed: Sequence[type[Node]]
) -> list[str]:
    """What is missing of the purposes that have one of their three places."""
    names = {purpose.name for record in classes for purpose in record.purposes()}
    return [
        *(f"a class in models/ for {one.name}" for one in purposes if one.name not in names),
        *(f"{one.__name__} in models/records.py" for one in classes if one not in listed),
    ]


def classes_of_ours() -> list[type[Node]]:
    """The classes in `models/` that say what the content of a record is."""
    modules = [import_module(f"{models.__name__}.{m.name}") for m in iter_modules(models.__path__)]
    classes = [value for module in modules for value in vars(module).values()]
    return [
        one
        for number, one in enumerate(classes)
        if isinstance(one, type) and issubclass(one, Node) and one not in classes[:number]
        if one.model_fields["content"].annotation is not Any
    ]


def test_each_purpose_has_a_class_and_each_class_its_line() -> None:
    assert missing_of_purposes(BUILT_IN, classes_of_ours(), RECORDS) == []
    assert missing_of_purposes([SCORES], [], []) == ["a class in models/ for scores"]
    assert missing_of_purposes([SCORES], [Score], []) == ["Score in models/records.py"]


def test_a_made_up_purpose_is_kept_shown_and_exported_as_the_others(project: Project) -> None:
    run = partial(run_with, WITH_MADE_UP_PURPOSE, project)
    run("save")
    assert '"m","red"' in run("query", "SELECT id, colour FROM made", "--csv")
    assert json.loads(run("export", "--purpose", "made_ups"))["id"] == "m"
    assert json.loads(run("show", "m", "--json"))["content"]["colour"] == "red"
    assert "colour" in run("schema")
    run("verify")
    run("purge", "--session", "s", "--yes")
    assert run("export", "--purpose", "made_ups") == ""


def test_a_column_of_each_session_list_is_a_field_and_its_sql(project: Project) -> None:
    def run(column: str) -> str:
        words = ["--dir", str(project.root), "column", column]
        command = [sys.executable, "-c", WITH_MADE_UP_COLUMN, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert run("calls").split() == ["[]", "None"]
    assert run("colour").count("no such column: colour") == 2


def test_both_session_lists_say_the_same() -> None:
    """What `sessions` and Python list is a part of what HTTP and the dashboard do."""
    assert get_type_hints(SessionSummary).items() <= get_type_hints(SessionItem).items()


def missing_of_commands(root: Path, commands: Iterable[str]) -> list[str]:
    """What is missing of the commands that have a file or a line."""
    files = {path.stem for path in (root / "src/khive_persist/cli/commands").glob("[!_]*.py")}
    names = {f"{name}_" if iskeyword(name) else name for name in commands}
    overview = (root / "docs/reference/cli.md").read_text("utf-8")
    return [
        *(f"the line of {name} in cli/root.py" for name in sorted(files - names)),
        *(f"cli/commands/{name}.py" for name in sorted(names - files)),
        *(f"{name} in docs/reference/cli.md" for name in commands if f"`{name}`" not in overview),
    ]


def test_each_command_has_a_file_a_line_and_an_aim() -> None:
    assert missing_of_commands(ROOT, COMMANDS) == []
    assert missing_of_commands(ROOT, {*COMMANDS, "brew"} - {"tail"}) == [
        "the line of tail in cli/root.py", "cli/commands/brew.py", "brew in docs/reference/cli.md",
    ]  # fmt: skip


def test_each_metric_is_one_line_that_can_be_asked_for() -> None:
    assert len(set(metrics.NAMES)) == len(metrics.NAMES)
    for name in metrics.NAMES:
        entry = metrics.measured(name)
        assert entry.metric.definition, f"the definition of {name}"
        assert entry.value(SessionFacts("s")) is None, f"{name} of a session that has none"


def missing_of_pages(files: set[str], app: str, links: str, tried: str) -> list[str]:
    """What is missing of the dashboard's pages that have a component or a line in `PAGES`."""
    pages = app.split("const PAGES = {")[1].split("}")[0]
    names = {path.strip("'"): name for path, name in re.findall(r"(\w+|''): (\w+)", pages)}
    return [
        *(f"{name} in App.svelte" for name in sorted(files) if f"/{name}.svelte'" not in app),
        *(f"pages/{name}.svelte" for name in names.values() if name not in files),
        *(f"{path} in pages.ts" for path in names if f"path: '{path}'," not in links),
        *(f"#/{path} in tests/dashboard" for path in names if f'"#/{path}' not in tried),
    ]


def test_each_page_has_a_component_a_line_a_link_and_a_test() -> None:
    files = {path.stem for path in (ROOT / "web/src/pages").glob("*.svelte")}
    app, links, *tried = (
        (ROOT / name).read_text("utf-8")
        for name in (
            "web/src/App.svelte",
            "web/src/lib/pages.ts",
            "tests/dashboard/test_pages.py",
            "tests/dashboard/records.py",
        )
    )
    assert missing_of_pages(files, app, links, "".join(tried)) == []
    named = app.replace("sessions: Sessions", "named: Named")
    assert missing_of_pages({*files, "Begun"}, named, links, "".join(tried)) == [
        "Begun in App.svelte",
        "pages/Named.svelte",
        "named in pages.ts",
        "#/named in tests/dashboard",
    ]


def test_the_recipes_name_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    recipes = text.split("## Where to add")[1].split("\n## ")[0]
    for path in re.findall(r"`([\w.]+/[\w./]*)`", recipes):
        assert (ROOT / path).exists() or (ROOT / "src/khive_persist" / path).exists(), path
