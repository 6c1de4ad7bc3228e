"""The page in a real browser, with real clips on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from avssl.data.scan import scan
from avssl.evaluation.embeddings import Embeddings, table_of
from avssl.evaluation.gallery import write_gallery
from avssl.evaluation.page import Clip, Hit, Row, Section, render
from avssl.evaluation.retrieval import retrieval_report
from avssl.types import UserError


@pytest.fixture(scope="session")
def embeddings(tiny_videos: Path) -> Embeddings:
    """Vectors that find the partner sometimes, the label often."""
    manifest = scan(tiny_videos)
    generator = torch.Generator().manual_seed(0)
    kinds = sorted(set(manifest.labels))
    x = torch.eye(16)[[kinds.index(label) for label in manifest.labels]]
    x = x + 0.35 * torch.randn(len(x), 16, generator=generator)
    vectors = {name: x + 0.15 * torch.randn(x.shape, generator=generator) for name in ("audio", "video")}
    card = {
        **{"checkpoint": "runs/avid", "root": str(tiny_videos), "expected": 24, "done": 24, "missing": []},
        "views": {"video": {"duration_s": 0.5}, "audio": {"duration_s": 1.0}},
    }
    return Embeddings(table_of(manifest.ids, manifest.paths, manifest.labels, [0.2] * len(x), vectors), card)


@pytest.fixture(scope="session")
def page(embeddings: Embeddings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page with space")
    return write_gallery(embeddings, retrieval_report(embeddings), folder, queries=3)


def test_everything_on_the_page_lies_beside_it(page):
    html = page.read_text("utf-8")
    assert "http" not in html
    assert html.count("<article>") == 6
    assert html.count("<video") == 6 * 6
    assert len(list(page.parent.glob("clips/*.mp4"))) == len(list(page.parent.glob("clips/*.png"))) <= 24
    for word in ("audio → video", "video → audio", "right: same file", "wrong", "partner at rank", "chance"):
        assert word in html


def test_right_and_wrong_are_what_the_vectors_say(embeddings, page):
    html = page.read_text("utf-8")
    first = html.split("<article>")[1]
    score = embeddings.normalised("audio") @ embeddings.normalised("video").T
    row = next(n for n, i in enumerate(embeddings.ids) if f"clips/{i}-200.mp4" in first.split("</div>")[0])
    found = [embeddings.ids[n] for n in score[row].topk(5).indices.tolist()]
    hits = first.split("<li ")[1:]
    assert [f"clips/{i}-200.mp4" in hit for i, hit in zip(found, hits, strict=True)] == [True] * 5
    for i, hit in zip(found, hits, strict=True):
        other = embeddings.ids.index(i)
        same = embeddings.labels[other] == embeddings.labels[row]
        assert hit.startswith(f'class="{"partner" if other == row else "label" if same else "other"}"')


def test_names_are_escaped():
    clip = Clip("clips/a b#", False, "<script>.mp4", 0.0)
    html = render([Section("a → b", [Row(clip, "<b>", None, 3, [Hit(clip, 0.5, "unknown", "")])])])
    assert "clips/a%20b%23.mp4" in html
    assert "&lt;script&gt;" in html
    assert "<b><b>" not in html


def test_mistakes_are_named(embeddings, tmp_path):
    report = retrieval_report(embeddings)
    with pytest.raises(UserError, match="is not there; give the folder of the videos as root=DIR"):
        write_gallery(embeddings, report, tmp_path, root=tmp_path)
    with pytest.raises(UserError, match="needs two views"):
        write_gallery(Embeddings(embeddings.table.drop_columns(["video"]), embeddings.card), report, tmp_path)


@pytest.mark.browser
def test_the_page_plays_in_a_browser_without_a_complaint(page, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    shots = Path(os.environ.get("AVSSL_SCREENSHOTS", tmp_path))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        complaints: list[str] = []
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1360, "height": 1000}, color_scheme=scheme)
            tab = context.new_page()
            tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.on("requestfailed", lambda request: complaints.append(request.url))
            tab.goto(page.as_uri())
            tab.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState >= 1)")
            durations = tab.evaluate("[...document.querySelectorAll('video')].map(v => v.duration)")
            widths = tab.evaluate("[...document.querySelectorAll('img')].map(i => i.complete && i.naturalWidth)")
            assert all(1.5 < duration < 2.5 for duration in durations)
            assert min(widths) > 10
            played = (
                "v => { v.muted = true; return v.play().then(() => new Promise(r => v.ontimeupdate = () => r(1))) }"
            )
            assert tab.locator("video").nth(1).evaluate(played) == 1
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            tab.screenshot(path=shots / f"gallery-{scheme}.png", full_page=True)
            assert complaints == []
            context.close()
        browser.close()
