"""What is measured in an application's session over time, and that it changes, over HTTP."""

import json
import statistics
from datetime import timedelta
from typing import Any

import httpx
import pytest

from khive_persist.cli.root import run
from khive_persist.models.purposes import MEASUREMENTS
from khive_persist.project import Project
from tests.factories import row, store_rows
from tests.server.filling import BEGIN
from tests.server.process import Server
from tests.server.sessions import PATH, begin, one_of
from tests.server.test_live import told

MANY = 3_000


def test_series_are_whole_however_long_and_those_of_the_report(
    client: httpx.Client, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    id = begin(client, session_id="case 7/ä", group="a")
    begin(client, session_id="other", group="a")
    values = [(7 * n * n) % 101 + n / 1_000 for n in range(MANY)]

    def measured(session: str, name: Any, value: Any, number: int, **fields: Any) -> Any:
        content = {"session_id": session, "name": name, "value": value, **fields}
        return row(content, BEGIN + timedelta(seconds=number))

    rows = [measured(id, "pulse", value, n, unit="bpm") for n, value in enumerate(values)]
    rows += [measured("other", "pulse", 10**6, n) for n in range(5)]
    # Such as only another program has written.
    odd = [("pulse", "70"), ("pulse", None), ("", 3), (7, 3), ("pulse", 1e300)]
    rows += [measured(id, name, value, n) for n, (name, value) in enumerate(odd)]
    rows += [measured(id, "oxygen", 0, 0)]
    store_rows(project, MEASUREMENTS, rows)
    client.post(f"{PATH}/case%207%2F%C3%A4/scores", json=one_of("scores"))
    answer = client.get(f"{PATH}/case%207%2F%C3%A4/series")
    assert answer.status_code == 200, answer.text
    # A page is to load little.
    assert len(answer.content) < 60_000
    triage, pulse, oxygen = answer.json()["series"]
    assert (triage["kind"], triage["name"], triage["mean"]) == ("score", "triage", 7)
    assert (oxygen["values"], oxygen["mean"], len(oxygen["points"])) == (1, 0, 1)
    assert (pulse["kind"], pulse["unit"], pulse["values"]) == ("measurement", "bpm", MANY)
    assert pulse["mean"] == pytest.approx(statistics.fmean(values))
    assert (pulse["smallest"], pulse["largest"]) == (min(values), max(values))
    points = pulse["points"]
    assert 100 < len(points) <= 200
    at = 0
    for point in points:
        part = values[at : at + point["values"]]
        assert (point["smallest"], point["largest"]) == (min(part), max(part))
        assert point["mean"] == pytest.approx(statistics.fmean(part))
        at += point["values"]
    assert at == MANY
    assert [point["at"] for point in points] == sorted(point["at"] for point in points)
    # Of a period with this session alone, the report has the same of its name.
    assert run(["--dir", str(project.root), "purge", "--session", "other", "--yes"]) == 0
    capsys.readouterr()
    assert run(["--dir", str(project.root), "report", "--at", f"{BEGIN:%Y-%m-%d}", "--json"]) == 0
    of_report = {one["name"]: one for one in json.loads(capsys.readouterr().out)["series"]}
    same = ("unit", "values", "mean", "smallest", "largest")
    assert [of_report["pulse"][name] for name in same] == [pulse[name] for name in same]
    assert client.get(f"{PATH}/nowhere/series").status_code == 404


def test_a_session_tells_at_once_of_whatever_it_gets_from_whomever(
    server: Server, client: httpx.Client, project: Project
) -> None:
    id = begin(client)
    assert client.get(f"{PATH}/nowhere/live").status_code == 404
    with server.client() as other, other.stream("GET", f"{PATH}/{id}/live") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        changes = (json.loads(one["data"]) for one in told(response) if "event" in one)
        expected = {"version": 1, "messages": 0, "measurements": 0, "scores": 0}
        assert next(changes) == expected
        begin(client)
        for name in ("messages", "measurements", "scores"):
            client.post(f"{PATH}/{id}/{name}", json=one_of(name))
            expected[name] += 1
            assert next(changes) == expected
        pulse = {"session_id": id, **one_of("measurements")}
        store_rows(project, MEASUREMENTS, [row(pulse, BEGIN)])
        assert next(changes) == expected | {"measurements": 2}
        client.post(f"{PATH}/{id}/complete", json={"outcome": "passed"})
        assert next(changes) == expected | {"measurements": 2, "version": 2}
