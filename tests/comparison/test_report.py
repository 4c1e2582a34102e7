"""The report of a comparison: it stands by itself, and names from records are text in it."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from playwright.sync_api import Request

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.compare import compare
from khive_persist.analytics.compare.metric import Metric, Sample
from khive_persist.analytics.compare.report import plots
from khive_persist.analytics.compare.report.figures import figures
from khive_persist.analytics.compare.report.page import page
from khive_persist.analytics.compare.report.text import text
from khive_persist.clock import from_ns
from tests.chromium import chromium
from tests.comparison.test_published_examples import RAIN
from tests.comparison.test_statistics import PLANTS, X, Y

AT = from_ns(1_795_000_000_000_000_000)
EVIL = ["<script>alert(1)</script>", "$x^2$ <img src=http://evil.test/x>", "\x1b[31m\x00 é 日"]


def collected(
    groups: dict[str, list[float]], names: tuple[str, ...] = ("cost",)
) -> CollectedSamples:
    samples: dict[Metric, dict[str, Sample]] = {}
    for name in names:
        made = {group: Sample() for group in groups}
        for group, values in groups.items():
            for value in values:
                made[group].add(value)
            made[group].add(None)
        samples[Metric(name, "what a session cost", "USD")] = made
    days = {
        metric: {group: {"2026-11-01": (2, 3.0), "2026-11-03": (1, 2.5)} for group in groups}
        for metric in samples
    }
    sizes = {group: len(values) + 1 for group, values in groups.items()}
    return CollectedSamples("pattern", sizes, samples, days, sum(sizes.values()) + 3, 2, 1)


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    found = collected(dict(zip(EVIL, PLANTS, strict=True)), ("cost", EVIL[0]))
    target = tmp_path / "report.html"
    target.write_text(page(found, compare(found.samples), AT))
    asked: list[Request] = []
    said: list[str] = []
    with chromium() as browser:
        opened = browser.new_page()
        opened.on("request", lambda one: asked.append(one))
        opened.on("dialog", lambda dialog: said.append(dialog.message))
        opened.on("console", lambda line: said.append(line.text))
        opened.goto(target.as_uri())
        shown = opened.inner_text("body")
        pictures = opened.evaluate("[...document.images].map((one) => one.naturalWidth > 0)")
        assert opened.evaluate("document.scripts.length") == 0
    assert said == []
    assert {one.url.partition(":")[0] for one in asked} <= {"file", "data"}
    assert pictures == [True] * 4
    assert EVIL[0] in shown
    assert "2 without pattern and 1 of other groups are left out" in shown


def test_two_groups_have_a_picture_of_effects() -> None:
    found = collected({"a": X, "b": Y})
    made = page(found, compare(found.samples), AT)
    assert made.count("<img") == 3
    assert made == page(found, compare(found.samples), AT)


def test_a_report_of_nothing_says_so() -> None:
    found = collected({"a": [], "b": [1.0]})
    compared = compare(found.samples)
    assert "too few sessions (a 0, b 1)" in page(found, compared, AT)
    assert "a: n = 0; left out: 1 not recorded" in text(found, compared, AT)
    assert "n = 1, mean 1, median 1" in text(found, compared, AT)


@pytest.mark.parametrize("groups", [{"a": X, "b": Y}, dict(zip("abc", PLANTS, strict=True))])
def test_the_text_has_every_figure_in_short_lines(groups: dict[str, list[float]]) -> None:
    found = collected(groups)
    compared = compare(found.samples)
    written = text(found, compared, AT)
    for figure in figures(compared[0]):
        assert f"{figure.test}, {figure.figure}: " in written
    assert max(map(len, written.splitlines())) <= 78
    assert f"Made {AT:%Y-%m-%d %H:%M} UTC" in " ".join(written.split())


def test_effects_of_different_pairs_name_their_groups() -> None:
    samples = {
        Metric(name, "x"): {"a": Sample(), "b": Sample(), "c": Sample()} for name in ("m", "n")
    }
    for (_, of), lacking in zip(samples.items(), "ac", strict=True):
        for group, values in zip("abc", (X, Y, X), strict=True):
            for value in values[: 2 if group == lacking else None]:
                of[group].add(value)
    compared = compare(samples)
    assert [one.tested for one in compared] == [(1, 2), (0, 1)]
    drawn = plots.effects(compared)
    assert drawn is not None
    assert b"c - b" in drawn
    assert b"b - a" in drawn
    assert b"named first has more" in drawn


def test_the_box_that_is_drawn_is_the_one_that_counts_outliers() -> None:
    sample = Sample()
    # 29.375 would be its quartile, 29.1 is its hinge.
    for value in RAIN:
        sample.add(value)
    figure = Figure()
    axes = figure.subplots()
    plots._box(axes, sample.values, 0, "black")
    (path,) = (patch.get_path() for patch in axes.patches)
    assert sorted(set(np.asarray(path.vertices)[:, 0])) == [29.1, 42.8]
