"""Charts of the report: what they say, and that a browser draws them."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from avssl.training.report import write_report
from avssl.training.run_log import RunLog
from avssl.training.svg import MOST_IN_LEGEND, WIDTH, Line, line_chart, ticks


def words(chart: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(chart).iter("text")]


def paths(chart: str) -> list[list[tuple[float, float]]]:
    """The pixels of each curve."""
    found = [path.get("d", "") for path in ElementTree.fromstring(chart).findall("g/g/path")]
    pairs = [re.findall(r"([-\d.]+) ([-\d.]+)", path) for path in found]
    return [[(float(x), float(y)) for x, y in path] for path in pairs]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.5", "1.0"]),
        (-3.2, 4.1, ["-4", "-2", "0", "2", "4", "6"]),
        (0, 128, ["0", "50", "100", "150"]),
        (0.9998, 1.0003, ["0.9998", "1.0000", "1.0002", "1.0004"]),
        (0, 1e-4, ["0", "5e-5", "1e-4"]),
        (1e7, 3e7, ["1e7", "2e7", "3e7"]),
        (2.5, 2.5, ["2.5"]),
    ],
)
def test_ticks_are_round_and_hold_the_values(low: float, high: float, expected: list[str]):
    found = ticks(low, high, 3 if high != 4.1 else 4, around=True)
    assert [text for _, text in found] == expected
    assert found[0][0] <= low + 1e-12
    assert found[-1][0] >= high - 1e-12


def test_curves_lie_where_their_numbers_are():
    chart = line_chart("loss", "epoch", [Line("loss", [(0, 0.0), (1, 1.0), (2, 4.0)])])
    (curve,) = paths(chart)
    (x0, y0), (x1, y1), (x2, y2) = curve
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert (y0 - y2) == pytest.approx(4 * (y0 - y1), abs=0.3)
    assert 0 < x0 < x2 < WIDTH
    assert {"epoch", "0", "4"} <= set(words(chart))


def test_a_limit_is_dashed_and_names_are_escaped():
    chart = line_chart("a <b>", "epoch", [Line("x & y", [(0, 1), (1, 2)]), Line("chance", [(0, 3), (1, 3)], True)])
    assert "a &lt;b&gt;, over epoch 0 to 1. Last: x &amp; y 2, chance 3" in chart
    assert chart.count("stroke-dasharray") == 2  # the curve, and its part of the legend
    assert {"x & y", "chance"} <= set(words(chart))
    root = ElementTree.fromstring(chart)
    assert root.get("role") == "img"
    assert root[0].tag == "title"


def test_a_legend_of_many_is_left_out_and_names_wrap():
    many = [Line(f"image/camera number {n}", [(0, n), (1, n + 1)]) for n in range(MOST_IN_LEGEND + 1)]
    assert "image/camera number 0" not in words(line_chart("many", "epoch", many))
    legend = line_chart("eight", "epoch", many[:-1])
    assert {line.label for line in many[:-1]} <= set(words(legend))
    places = [float(text.get("x", "")) for text in ElementTree.fromstring(legend).iter("text")]
    assert max(places) < WIDTH


def test_numbers_that_are_not_finite_are_left_out():
    chart = line_chart("loss", "epoch", [Line("loss", [(0, 1), (1, math.nan), (2, math.inf), (3, 2)])])
    assert [len(path) for path in paths(chart)] == [2]
    assert "nan" not in chart
    assert "inf" not in chart
    empty = line_chart("loss", "epoch", [Line("loss", [(0, math.nan)])])
    assert paths(empty) == []


def test_one_point_is_a_dot_and_equal_values_a_line_in_the_middle():
    assert line_chart("loss", "epoch", [Line("loss", [(1, 2)])]).count("<circle") == 1
    (curve,) = paths(line_chart("loss", "epoch", [Line("loss", [(0, 2), (1, 2), (2, 2)])]))
    assert len({y for _, y in curve}) == 1


def test_ten_thousand_rows_stay_small_and_keep_their_peaks():
    points = [(n / 1000, 5.0 if n == 4321 else math.sin(n)) for n in range(10_000)]
    chart = line_chart("loss", "epoch", [Line("loss", points)])
    (curve,) = paths(chart)
    assert len(curve) <= 2 * (WIDTH + 1)
    whole = line_chart("loss", "epoch", [Line("loss", [points[0], points[4321], points[-1]])])
    assert min(y for _, y in curve) == min(y for _, y in paths(whole)[0]) or min(y for _, y in curve) < 30


@pytest.mark.browser
def test_a_browser_draws_the_report_in_light_and_dark(tmp_path: Path):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    log = RunLog(tmp_path)
    for step in range(1, 9):
        log.write(step, {"epoch": step / 8, "loss": 1 / step, "video>audio": 2.0 / step, "audio>video": 1.0})
    log.close()
    page = write_report(tmp_path, "avssl-train er", {"device": "cpu"}, 8)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        colors = set()
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme)
            tab.goto(page.as_uri())
            assert tab.get_by_role("img", name="loss").count() == 1
            assert tab.evaluate(
                "[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 200)"
            )
            label = tab.locator("svg text", has_text="epoch").first
            label.dblclick()
            assert tab.evaluate("getSelection().toString()").strip() == "epoch"
            colors.add(label.evaluate("e => getComputedStyle(e).fill"))
        browser.close()
    assert len(colors) == 2
