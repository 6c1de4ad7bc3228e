"""The preview holds what the network gets, itself, escaped, in a real browser too."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.io import ImageReadMode, decode_image, write_png

from avssl.data.clip_files import VideoFolder
from avssl.data.clips import AudioView, VideoView
from avssl.data.images import ImageFolder
from avssl.data.pictures import ImageView
from avssl.data.source import Source
from avssl.data.stream.samples import ClipKey, Sample
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.image import ImageEval, ImageTrain
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.evaluation.inline import CLIP_BYTES, movie, sound
from avssl.evaluation.preview import originals, write_preview
from avssl.evaluation.preview_facts import pitch_ticks
from avssl.evaluation.preview_page import time_ticks
from avssl.types import UserError

VIDEO = VideoView(frames=4, fps=8.0, train=VideoTrain(24), eval=VideoEval(24))
AUDIO = AudioView(
    duration_s=0.8, rate_hz=8000, train=LogSpectrogram(8000, n_mels=16), eval=LogSpectrogram(8000, n_mels=16)
)
VIEWS = {"video": VIDEO, "audio": AUDIO}
HOSTILE = '<img src=x onerror="window.broken=1">&\'<script>window.broken=1<'
"""A slash cannot be in a file's name; a folder gives the closing tag one."""


def preview(source: Source, root: Path, out: Path, **kwargs) -> tuple[str, list]:
    found = source.trainable(source.at(root).find())
    plain = source.with_views(originals(source.views))
    shown, broken = write_preview(source, plain, found, out, **{"n": 3, "draws": 2, "seed": 0, **kwargs})
    html = out.read_text("utf-8")
    assert html.count("<article") == shown
    return html, broken


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """Three videos and three files to leave out, with names that break out of HTML where they are not escaped."""
    root = tmp_path_factory.mktemp("hostile") / f"{HOSTILE}" / "script>"
    root.mkdir(parents=True)
    for number, file in enumerate(sorted(tiny_videos.rglob("*.mp4"))[:3]):
        shutil.copy(file, root / f"{HOSTILE}{number}.mp4")
    for number in range(3):
        (root / f"bad {number}{HOSTILE}.mp4").write_bytes(bytes([number]))
    return root.parent.parent


@pytest.fixture(scope="module")
def page(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "preview.html"
    preview(VideoFolder(None, VIEWS), hostile, out)
    return out


def images(html: str, kind: str) -> list[torch.Tensor]:
    found = re.findall(rf'src="data:image/{kind};base64,([^"]+)"', html)
    data = [torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8) for text in found]
    return [decode_image(content, ImageReadMode.RGB) for content in data]


def test_everything_lies_in_the_page(page: Path) -> None:
    html = page.read_text("utf-8")
    assert "http" not in html.replace("http-equiv", "")
    for place in re.findall(r'(?:src|href|poster)="([^"]{0,12})', re.sub(r"&lt;.*?onerror", "", html)):
        assert place.startswith("data:"), place
    assert html.count("<video") == 3
    assert html.count("data:video/mp4;base64,") == 3
    assert html.count("as evaluated") == 3
    assert html.count("training, draw") == 6
    assert "default-src 'none'" in html


def test_strips_are_the_frames_that_the_network_gets(page: Path, hostile: Path) -> None:
    strips = [image for image in images(page.read_text("utf-8"), "jpeg") if image.shape == (3, 24, 4 * 26)]
    assert len(strips) == 9
    source = VideoFolder(None, VIEWS)
    files = source.trainable(source.at(hostile).find()).files
    train, evaluated = source.train_set(files, 0, 1), source.eval_set(files, 1)
    for dataset, transform, epochs in ((evaluated, VIDEO.eval, 1), (train, VIDEO.train, 2)):
        for row in range(3):
            for epoch in range(epochs):
                sample = dataset[ClipKey(epoch, row, 0)]
                assert isinstance(sample, Sample)
                frames = transform.denormalise(sample.views["video"])
                wide = torch.cat(list(torch.nn.functional.pad(frames, (0, 2), value=128)), 2).float()
                assert min(float((wide - strip.float()).abs().mean()) for strip in strips) < 6  # JPEG


def test_names_are_escaped(page: Path) -> None:
    html = page.read_text("utf-8")
    assert html.count("&lt;img src=x onerror=&quot;window.broken=1&quot;&gt;&amp;&#x27;&lt;script&gt;") > 6
    assert "<img src=x" not in html
    assert html.count("<script>") == 1


def test_what_is_left_out_is_told_by_reason(page: Path) -> None:
    table = page.read_text("utf-8").partition("Left out")[2]
    assert "<th>unreadable</th><td>3</td>" in table
    assert "bad 2" in table


def test_the_draw_follows_the_seed_and_a_file_that_breaks_gives_its_place(tiny_videos: Path, tmp_path: Path) -> None:
    source = VideoFolder(None, VIEWS)
    one, _ = preview(source, tiny_videos, tmp_path / "a.html", draws=0)
    assert one == preview(source, tiny_videos, tmp_path / "b.html", draws=0)[0]
    assert one != preview(source, tiny_videos, tmp_path / "c.html", draws=0, seed=1)[0]
    shutil.copytree(tiny_videos, tmp_path / "videos")
    found = source.trainable(source.at(tmp_path / "videos").find())
    first = re.search(r"<h2>([^<]+)</h2>", one)
    assert first
    (tmp_path / "videos" / first[1]).unlink()
    shown, broken = write_preview(
        source, VideoFolder(None, originals(VIEWS)), found, tmp_path / "d.html", n=3, draws=0, seed=0
    )
    assert shown == 3
    assert [item.path for item in broken] == [str(tmp_path / "videos" / first[1])]
    table = (tmp_path / "d.html").read_text("utf-8").partition("Left out")[2]
    assert "<th>broken</th><td>1</td>" in table


def test_pictures_and_sound_alone_are_shown(tiny_videos: Path, tmp_path: Path) -> None:
    for number in range(2):
        write_png(torch.full((3, 30, 40), 90 * number, dtype=torch.uint8), str(tmp_path / f"{number}.png"))
    view = ImageView(train=ImageTrain(16), eval=ImageEval(16))
    html, _ = preview(ImageFolder(None, {"image/0": view, "image/1": view}), tmp_path, tmp_path / "a.html")
    assert html.count('class="still"') == 2
    assert html.count(">image/1<") == 4
    assert [image.shape for image in images(html, "jpeg")].count((3, 16, 16)) == 2 * (1 + 2 * 2)
    html, _ = preview(VideoFolder(None, {"audio": AUDIO}), tiny_videos, tmp_path / "b.html", n=2)
    assert html.count("<audio controls") == 2
    assert len(images(html, "png")) == 2 * 3
    assert all(image.shape == (3, 16, 6400 // 240) for image in images(html, "png"))


def test_a_clip_is_no_larger_than_its_limit() -> None:
    noise = torch.randint(0, 256, (50, 3, 240, 320), dtype=torch.uint8)
    assert movie(noise, 25.0, None, 8000) is None or len(movie(noise, 25.0, None, 8000) or "") < 1.4 * CLIP_BYTES
    grey = torch.full((4, 3, 33, 35), 90, dtype=torch.uint8)  # odd sides
    assert (movie(grey, 8.0, torch.zeros(1, 4000), 8000) or "").startswith("data:video/mp4;base64,")
    assert sound(torch.zeros(1, CLIP_BYTES), 8000) is None


def test_a_transform_that_cannot_be_shown_is_named(tiny_videos: Path, tmp_path: Path) -> None:
    bare = VideoView(frames=4, train=lambda frames: frames, eval=VideoEval(24))
    with pytest.raises(UserError, match=r"views.video.train: function cannot be shown; allowed: .*denormalise"):
        preview(VideoFolder(None, {"video": bare}), tiny_videos, tmp_path / "a.html")


def test_ticks_lie_where_they_say() -> None:
    assert time_ticks(2.0) == [("0", 0.0), ("0.5", 0.25), ("1", 0.5), ("1.5", 0.75), ("2 s", 1.0)]
    assert time_ticks(0.96)[-1] == ("0.8 s", pytest.approx(0.8 / 0.96))
    linear = LogSpectrogram(8000, n_fft=512, bands=257)
    for label, place in pitch_ticks(linear):
        hz = float(label.split()[0]) * (1000 if "kHz" in label else 1)
        assert place == pytest.approx(hz / 4000, abs=0.004)
    assert pitch_ticks(object()) == ()


@pytest.mark.browser
def test_it_plays_in_a_browser_without_network_or_complaint(page: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        tab = browser.new_context(viewport={"width": 1360, "height": 1000}).new_page()
        complaints: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url.partition(":")[0]))
        tab.goto(page.as_uri())
        known = "v => v.readyState ? v.duration : new Promise(done => v.onloadedmetadata = () => done(v.duration))"
        durations = [video.evaluate(known) for video in tab.locator("video").all()]
        assert len(durations) == 3
        assert all(0.6 < duration < 1.0 for duration in durations)
        assert min(tab.evaluate("[...document.images].map(i => i.complete && i.naturalWidth)")) > 10
        tab.locator(".clip").first.click()
        moves = "v => new Promise(done => v.ontimeupdate = () => v.currentTime && done(true))"
        assert tab.locator("video").first.evaluate(moves)
        assert tab.evaluate("fetch('https://example.org').then(() => 'fetched', () => 'refused')") == "refused"
        complaints = [text for text in complaints if "example.org" not in text]
        assert tab.evaluate("window.broken === undefined")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert complaints == []
        assert set(asked) <= {"file", "data"}  # not even https: it was never sent
        browser.close()
