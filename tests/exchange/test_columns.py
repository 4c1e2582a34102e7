"""Fields whose names would be one column have each their own, in views and in every format."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import openpyxl
import pyarrow.parquet
import pytest

from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose, purpose
from khive_persist.project import Project
from khive_persist.transfer.export import parts_of
from tests.exchange.rows import put, row, write


class Load(Node):
    purpose: ClassVar[Purpose] = purpose(
        "loads", view="loaded", fields=("a.b", "a_b", "x.y_z", "x_y.z", "plain.one")
    )


CONTENT = (
    '{"a":{"b":"nested"},"a_b":"flat","x":{"y_z":"first"},"x_y":{"z":"second"},"plain":{"one":"1"}}'
)
CELLS = {"a.b": "nested", "a_b": "flat", "x_y_z": "first", "x_y.z": "second", "plain_one": "1"}


def test_no_field_takes_the_project_of_another(project: Project, tmp_path: Path) -> None:
    path = put(project, [row("a", CONTENT)], Load.purpose)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        shown = dict(connection.execute("SELECT * FROM loaded").fetchone())
    assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == CELLS
    for form in ("csv", "parquet", "xlsx"):
        write(project, tmp_path / f"x.{form}", form, parts_of(Load))
    with (tmp_path / "x.csv").open(newline="") as file:
        (cells,) = csv.DictReader(file)
    (table,) = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    header, values = openpyxl.load_workbook(tmp_path / "x.xlsx")["loads"].iter_rows(
        values_only=True
    )
    sheet = dict(zip(header, values, strict=True))
    for found in (cells, table, sheet):
        assert {name: found[name] for name in CELLS} == CELLS


@pytest.mark.parametrize("fields", [("a.b", "a_b"), ("a_b", "a.b")])
def test_the_plain_field_has_the_plain_name(fields: tuple[str, ...]) -> None:
    assert purpose("loads", fields=fields).column_names() == {"a.b": "a.b", "a_b": "a_b"}
