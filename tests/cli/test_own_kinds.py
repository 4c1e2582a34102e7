"""The commands know kinds of a user's own, whose names may be words of SQL."""

import json
import os
from typing import ClassVar

import anyio
import pytest

from khive_persist import Node, PlannerSession, Purpose, field, open_store, purpose
from khive_persist.project import Project
from tests.cli.conftest import Khive


class Order(Node):
    purpose: ClassVar[Purpose] = purpose(
        "order",
        "select",
        view="group",
        fields=("session_id", "total"),
        indexes=(("session_id", "created_at"), ("total",)),
        document="index",
    )


class Beat(Node):
    purpose: ClassVar[Purpose] = purpose("where", is_stream=True)


@pytest.fixture
def ordered(project: Project) -> Project:
    async def save() -> None:
        async with open_store(Order, dir=project.root) as orders:
            for n in range(3):
                content = {"session_id": f"task-{n or 10}", "total": n * 1.5}
                await orders.save(Order(id=f"order-{n}", content=content))
            assert len([one async for one in orders.stream(field("total") > 1)]) == 2
            assert await orders.delete("order-0") is True
            await orders.save(Order(id="order-0", content={"session_id": "task-10", "total": 0}))
        async with open_store(Beat, dir=project.root) as beats:
            await beats.save(Beat(id="beat", content={"session_id": "task-1"}))

    anyio.run(save)
    return project


def test_every_command_reads_and_writes_them(ordered: Project, khive: Khive) -> None:
    assert khive("verify").code == 0
    files = {one["file"]: one for one in khive("doctor", "--json").json["databases"]}
    assert (files["order.db"]["rows"], files["order.db"]["problem"]) == (3, "")
    assert files["where.db"]["rows"] == 1
    rows = khive("query", 'SELECT total FROM "order"."group" ORDER BY 1', "--json").json
    assert [row["total"] for row in rows] == [0, 1.5, 3.0]
    lines = khive("export", "--purpose", "order").lines
    assert {line["id"] for line in lines} == {"order-0", "order-1", "order-2"}
    assert khive("redact", "--rescan", "--yes").code == 0
    assert khive("rebuild", "--from-database").code == 0
    ordered.database("order.db").unlink()
    assert khive("rebuild", "--from-mirror").code == 0
    assert khive("verify").code == 0
    assert khive("prune", "--purpose", "order", "--keep-count", "2", "--yes").code == 0
    assert khive("purge", "--session", "task-2", "--yes").code == 0
    assert len(khive("export", "--purpose", "order").lines) == 1
    assert khive("verify").code == 0


def test_an_export_comes_back(ordered: Project, khive: Khive) -> None:
    file = str(ordered.root / "orders.jsonl")
    assert khive("export", "--purpose", "order", "-o", file).code == 0
    assert khive("prune", "--purpose", "order", "--keep-count", "0", "--yes").code == 0
    assert khive("import", file, "--json").json["purposes"]["order"]["new"] == 3
    assert khive("verify").code == 0


def test_stats_counts_them(ordered: Project, khive: Khive) -> None:
    kinds = {one["purpose"]: one for one in khive("stats", "--json").json["kinds"]}
    assert (kinds["order"]["records"], kinds["order"]["sessions"]) == (3, 3)
    assert kinds["order"]["first"] <= kinds["order"]["last"]
    assert kinds["where"]["records"] == 1
    assert "order" in khive("stats").out


def test_show_finds_a_record_and_those_of_a_session(ordered: Project, khive: Khive) -> None:
    assert khive("show", "order-1", "--json").json["content"]["total"] == 1.5
    assert khive("show", "order-").code == 1
    session = khive("show", "task-1", "--json").json
    assert [one["id"] for one in session["order"]] == ["order-1"]
    assert [one["id"] for one in session["where"]] == ["beat"]
    assert session["plans"] == []
    assert {one["id"] for one in khive("show", "task-1", "--jsonl").lines} == {"order-1", "beat"}
    assert "1 records of order" in khive("show", "task-1").err
    several = khive("show", "task-")
    assert (several.code, several.err.count("task-")) == (1, 4)


def test_a_session_is_shown_though_a_record_of_a_kind_has_its_id(
    ordered: Project, khive: Khive
) -> None:
    async def save() -> None:
        async with open_store(Order, dir=ordered.root) as orders:
            await orders.save(Order(id="same", content={"session_id": "same"}))
        async with open_store(PlannerSession, dir=ordered.root) as plans:
            content = {"session_id": "same", "task_description": "t"}
            await plans.save(PlannerSession(content=content))

    anyio.run(save)
    session = khive("show", "same", "--json").json
    assert (len(session["plans"]), [one["id"] for one in session["order"]]) == (1, ["same"])


def test_a_record_by_hand_is_in_both_copies(ordered: Project, khive: Khive) -> None:
    file = ordered.root / "order.json"
    file.write_text('{"total": 9, "by": "hand"}')
    recorded = khive("record", "order", str(file), "--json").json
    (copy,) = recorded["copies"]
    assert os.path.basename(copy).startswith("index_")
    assert recorded["path"] == str(ordered.database("order.db"))
    with open(copy, encoding="utf-8") as opened:
        assert json.load(opened)["content"] == {"total": 9, "by": "hand"}
    shown = khive("show", recorded["ids"][0], "--json").json
    assert shown["node_metadata"] == {"lion_class": Node.lion_class()}
    assert khive("verify").code == 0
    file.write_text("5")
    refused = khive("record", "order", str(file))
    assert (refused.code, "bare number" in refused.err) == (1, True)


def test_a_kind_that_is_not_known_is_wrong_use(ordered: Project, khive: Khive) -> None:
    done = khive("record", "orders", str(ordered.config))
    assert done.code == 2
    assert "'orders' is none of hook-event, planner-session, order, where" in done.err
