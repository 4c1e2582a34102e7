"""Documents that no export wrote: all of each is the content of a record."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from pydantic import BaseModel

from khive_persist import import_records
from khive_persist.cli.root import run
from khive_persist.errors import InvalidFileError, InvalidQueryError
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.measurement import Measurement
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.project import Project
from khive_persist.transfer.import_ import Imported
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.reading import folder as folder_reading
from khive_persist.transfer.reading import markdown
from khive_persist.transfer.reading import source as source_reading
from tests.exchange.rows import PLANS, put, row, stored, write


class LapContent(BaseModel):
    lap: str
    seconds: float
    load: dict[str, int] = {}


class Lap(Node):
    purpose: ClassVar[Purpose] = purpose("laps", fields=("lap", "seconds", "load.heart"))
    content: LapContent


class Note(Node):
    purpose: ClassVar[Purpose] = purpose("notes")


Take = Callable[..., Imported]


@pytest.fixture
def take(project: Project) -> Take:
    def call(source: Path, record: type[Node] | None = Note, **options: Any) -> Imported:
        return anyio.run(lambda: import_records(source, record, dir=project.root, **options))

    return call


def rows(project: Project, kind: type[Node]) -> dict[str, tuple[Any, Any]]:
    """Content and time of all records, by id."""
    found = stored(project.database(kind.purpose.file), kind.purpose.table)
    return {id: (json.loads(one[3]), one[7]) for id, one in found.items()}


LAPS = [
    {"lap": "a", "seconds": 61.5, "begun": "2026-11-01T10:00:00+01:00", "tags": ["x"]},
    {"lap": "b", "seconds": 60, "begun": 1_793_534_400},
]


@pytest.mark.parametrize("layout", ["array", "lines", "indented"])
def test_bare_json_is_the_content_of_records(
    project: Project, tmp_path: Path, take: Take, layout: str
) -> None:
    texts = [json.dumps(one, indent=2 if layout == "indented" else None) for one in LAPS]
    text = "[" + ",\n".join(texts) + "]" if layout == "array" else "\n".join(texts)
    (tmp_path / "x").write_text(text)
    done = take(tmp_path / "x", id_field="lap", created_at_field="begun")
    assert done == ({"notes": (2, 0, 0)}, 0, [], "", 0, True)
    assert rows(project, Note) == {
        "a": (LAPS[0], "2026-11-01 09:00:00.000000"),
        "b": (LAPS[1], "2026-11-01 12:00:00.000000"),
    }
    again = take(tmp_path / "x", id_field="lap", created_at_field="begun")
    assert again.purposes == {"notes": (0, 2, 0)}


def test_csv_of_another_program_is_the_content_of_records(
    project: Project, tmp_path: Path, take: Take
) -> None:
    (tmp_path / "x.csv").write_text(
        'lap,seconds,load_heart,note,code,is_done,"=x"\n'
        'a,61.5,120,,007,true,"=y"\n"b",60,,"","7",TRUE,\nc,fast,,,,,\n'
    )
    done = take(tmp_path / "x.csv", Lap, id_field="lap")
    assert done.purposes == {"laps": (2, 0, 0)}
    assert [where for where, _ in done.listed] == ["line 4"]
    assert "content.seconds: " in done.listed[0][1]
    found = rows(project, Lap)
    assert found["a"][0] == {"lap": "a", "seconds": 61.5, "load": {"heart": 120}}
    (tmp_path / "note.csv").write_text(
        'id,n,text,code,done,gone\na,5,x,007,true,\n"b","5","",1e5,False,\n'
    )
    take(tmp_path / "note.csv")
    assert rows(project, Note)["a"][0] == {"id": "a", "n": 5, "text": "x", "code": "007",
                                         "done": True}  # fmt: skip
    assert rows(project, Note)["b"][0] == {"id": "b", "n": "5", "text": "", "code": "1e5",
                                         "done": False}  # fmt: skip


def test_a_time_is_that_of_the_record_or_of_the_file(
    project: Project, tmp_path: Path, take: Take
) -> None:
    source = tmp_path / "x.jsonl"
    source.write_text('{"id":1,"n":1}\n{"id":"2","created_at":"2026-11-02T00:00:00Z"}\n')
    os.utime(source, ns=(0, 1_793_534_400_000_001_000))
    assert take(source).refused == 0
    found = rows(project, Note)
    assert found["1"][1] == "2026-11-01 12:00:00.000001"
    assert found["2"][1] == "2026-11-02 00:00:00.000000"
    assert take(source).purposes == {"notes": (0, 2, 0)}
    measured = '{"id":"m","session_id":"s","name":"hr","value":1,"measured_at":"2026-11-03"}\n'
    (tmp_path / "m.jsonl").write_text(measured)
    take(tmp_path / "m.jsonl", Measurement)
    assert rows(project, Measurement)["m"][1] == "2026-11-03 00:00:00.000000"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ('{"n":1}', {}, "it has no id: --id FIELD names its field"),
        ('{"n":1}', {"id_field": "lap"}, "it has no id: 'lap' has none"),
        ('{"id":true}', {}, "it has no id"),
        ('{"id":"a"}', {"created_at_field": "at"}, "it has no at"),
        ('{"id":"a","at":"08:38.1"}', {"created_at_field": "at"}, "at: '08:38.1' is no time"),
        ('{"id":"a","created_at":"soon"}', {}, "created_at: 'soon' is no time"),
        ("[[1]]", {}, "not an object"),
        ('{"id":"a","purpose":"nowhere"}', {}, "'nowhere' is not known"),
        ('{"id":"a","content":{},"n":1}', {}, "no column takes 'n'"),
    ],
)
def test_what_is_no_record_is_refused(
    project: Project, tmp_path: Path, take: Take, text: str, options: dict[str, str], said: str
) -> None:
    (tmp_path / "x").write_text(text)
    done = take(tmp_path / "x", **options)
    assert (done.purposes, done.refused) == ({}, 1)
    assert said in done.listed[0][1]
    assert json.loads(Path(done.aside).read_text())["raw"].strip() in text


def test_records_are_those_of_their_class(project: Project, tmp_path: Path, take: Take) -> None:
    (tmp_path / "x").write_text('{"id":"p","session_id":"s"}')
    said = take(tmp_path / "x", PlannerSession).listed[0][1]
    assert said == "content.task_description: Field required"
    (tmp_path / "y").write_text('{"id":"p","session_id":"s","task_description":"t"}')
    assert take(tmp_path / "y", PlannerSession).refused == 0
    metadata = json.loads(stored(project.database(PLANS))["p"][5])
    assert metadata["lion_class"] == PlannerSession.lion_class()
    (tmp_path / "z").write_text('{"id":"e","event_type":"stop","tool":"codex"}')
    assert take(tmp_path / "z", HookEvent).purposes == {"codex_hooks": (1, 0, 0)}


def test_exported_records_are_themselves_still(
    project: Project, tmp_path: Path, take: Take
) -> None:
    put(project, [row("a")])
    for form in ("csv", "jsonl"):
        write(project, tmp_path / f"x.{form}", form)
        assert take(tmp_path / f"x.{form}", PlannerSession).purposes == {
            "planner_sessions": (0, 1, 0)
        }
    forced = take(tmp_path / "x.jsonl", Note, id_field="id")
    assert forced.purposes == {"notes": (1, 0, 0)}
    with pytest.raises(InvalidFileError, match="have ids and times"):
        take(project.khive, Note, id_field="id")
    with pytest.raises(InvalidQueryError, match="whose fields"):
        take(tmp_path / "x.jsonl", None, id_field="id")


NOTE = """---
title: A day
tags: [x, "y"]
due: 2026-11-30
at: 12:30
done: false
flag: no
hours: 1.5
count: 7
code: 007
nothing:
---

# Text

with ü
"""
FIELDS = {
    "title": "A day", "tags": ["x", "y"], "due": "2026-11-30", "at": "12:30", "done": False,
    "flag": "no", "hours": 1.5, "count": 7, "code": "007", "nothing": None,
    "body": "# Text\n\nwith ü\n",
}  # fmt: skip


def test_markdown_is_its_front_matter_and_its_text(
    project: Project, tmp_path: Path, take: Take
) -> None:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "day.md").write_bytes(b"\xef\xbb\xbf" + NOTE.encode())
    (folder / "deep" / "toml.md").write_text('+++\nid = "t"\nn = 1\n+++\nbody')
    (folder / "deep" / "none.md").write_text("---\r\n---\r\n")
    (folder / ".hidden" / "no.md").write_text(NOTE)
    (folder / "link.md").symlink_to(tmp_path / "elsewhere")
    assert take(folder / "day.md").purposes == {"notes": (1, 0, 0)}
    assert rows(project, Note)["day"][0] == FIELDS
    assert take(folder).purposes == {"notes": (2, 1, 0)}
    assert rows(project, Note)["t"][0] == {"id": "t", "n": 1, "body": "body"}
    assert rows(project, Note)["deep/none"][0] == {}
    assert take(folder / "day.md", id_field="title", created_at_field="due").refused == 0
    assert rows(project, Note)["A day"] == (FIELDS, "2026-11-30 00:00:00.000000")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\na: [1\n---\n", "its front matter: while parsing"),
        ("---\na: 1\n", "has no end"),
        ("---\n- a\n---\n", "has no fields"),
        ("---\na: &x [1]\nb: *x\n---\n", "aliases are not taken"),
        ("---\na: 1\na: 2\n---\n", "the key 'a' is there twice"),
        ("---\n1: 2\n---\n", "or is no text"),
        ("---\na: !!python/object/apply:os.system [id]\n---\n", "could not determine a constr"),
        ("---\na: !!timestamp 2026-11-01\n---\n", "could not determine a constructor"),
        ("---\na: " + "[" * 1_000 + "\n---\n", "more than 64 levels"),
        ("---\n" + "a: 1\n" * 20_000 + "---\n", "more than 65536 characters"),
        ("---\nbody: 1\n---\ntext", "both a field body and a text"),
        ("+++\na = \n+++\n", "its front matter"),
        ("+++\n" + "a . 'b.c'." * 40 + "a = 1\n+++\n", "a key of more than 64 parts"),
    ],
    ids=lambda value: value[:30],
)
def test_front_matter_that_is_none_is_refused(
    project: Project, tmp_path: Path, take: Take, text: str, said: str
) -> None:
    (tmp_path / "x.md").write_text(text)
    done = take(tmp_path / "x.md")
    assert (done.purposes, done.refused) == ({}, 1)
    assert said in done.listed[0][1]
    assert "\n" not in done.listed[0][1]


@pytest.mark.parametrize("brackets", ["[" * 5_000, f"[{('[' * 50 + ']' * 50 + ',') * 50}]"])
def test_each_bracket_of_front_matter_takes_bounded_work(brackets: str) -> None:
    lines = 0

    def count(*_: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    plain = PlainRecords(Note, Note.purpose)
    # What is made once is made before.
    markdown.read_markdown("---\na: 1\n---\n", "it", "id", plain)
    tracing = sys.gettrace()
    sys.settrace(count)
    try:
        markdown.read_markdown(f"---\na: {brackets}\n---\n", "it", "id", plain)
    finally:
        sys.settrace(tracing)
    # Where the work for one grew with those before it, 5,000 of them took 6,800 lines each.
    assert lines < 1_000 * len(brackets)


def test_a_text_that_is_too_long_is_refused_and_not_cut(
    tmp_path: Path, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (markdown, folder_reading, source_reading):
        monkeypatch.setattr(module, "MAX_CHARACTERS", len(NOTE) - 1)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.md").write_text(NOTE)
    for source in (tmp_path / "notes", tmp_path / "notes" / "x.md"):
        done = take(source)
        assert (done.purposes, done.refused) == ({}, 1)
        assert "longer than" in done.listed[0][1]


def test_the_command_takes_plain_documents(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> int:
        return run(["--dir", str(project.root), "import", *words])

    source = str(tmp_path / "x.jsonl")
    Path(source).write_text('{"name":"p","at":"2026-11-01","session_id":"s","task_description":""}')
    words = ("--purpose", "planner_sessions", "--id", "name", "--created-at", "at")
    assert call(source, *words) == 0
    assert rows(project, PlannerSession)["p"][1] == "2026-11-01 00:00:00.000000"
    assert call(source, "--id", "name") == 2
    assert "go with --purpose" in capfd.readouterr().err
    for text in ("", "\n", "[]"):
        Path(source).write_text(text)
        assert call(source) == 0
        captured = capfd.readouterr()
        assert captured.err == f"khive-persist: {source} is empty: it has no record\n"
    Path(source).write_bytes(b"PK\3\4\0\0")
    assert call(source) == 1
    assert "an Excel workbook: save it as CSV" in capfd.readouterr().err
