"""Files and arrays through one model: the same content gives the same embedding, in any company."""

from __future__ import annotations

import threading
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import VIEWS

from avssl.data.pictures import ImageView
from avssl.data.transforms.image import ImageEval
from avssl.evaluation.embed import embed_folder
from avssl.evaluation.inputs import array_inputs, file_input
from avssl.evaluation.model import Model
from avssl.models.audio_conv import Conv2D10
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.joint import JointBranches
from avssl.models.vit import VisionTransformer
from avssl.types import UserError


class Colors(torch.nn.Module):
    out_dim = 12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


@pytest.fixture(scope="module")
def image_model() -> Model:
    transform = ImageEval(size=16)
    return Model(Branches({"image": Colors()}), {"image": ImageView(short_side=20, train=transform, eval=transform)})


def close(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def write_wav(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    """int16 [n channels]"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return path


def write_video(path: Path, frames: np.ndarray, fps: int | Fraction, samples: np.ndarray | None, rate_hz: int) -> Path:
    """Lossless RGB, and int16 [n 1] beside it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=fps, width=frames.shape[2], height=frames.shape[1], pix_fmt="bgr0")
        audio = None if samples is None else container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for n, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = n, 1 / Fraction(fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and samples is not None:
            sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "s16", "mono")
            sound.sample_rate, sound.pts = rate_hz, 0
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path


def input_of(views: dict, file: Path | None = None, only: str = "", **arrays) -> dict[str, torch.Tensor]:
    """What the encoders get."""
    views = {name: view for name, view in views.items() if only in ("", name) and (file or name in arrays)}
    if file is not None:
        return file_input(file, views).read(views)
    rates = {name: arrays.pop(name, None) for name in ("rate_hz", "fps")}
    return array_inputs(arrays, **rates, views=views)[0].read(views)


def chirp(seconds: float, rate_hz: int, channels: int = 1) -> np.ndarray:
    """int16 [n channels]: rising tones, which sound different at each time."""
    t = np.arange(round(seconds * rate_hz))[:, None] / rate_hz
    x = np.sin(2 * np.pi * (300 + 400 * np.arange(channels) + 500 * t) * t) + 0.1 * np.sin(2 * np.pi * 1100 * t)
    return (x * 9000).astype(np.int16)


def film(frames: int, height: int = 40, width: int = 60) -> np.ndarray:
    """Changing smooth pictures."""
    t, y, x = np.mgrid[:frames, :height, :width]
    colors = [127 + 120 * np.sin(x / 9 + t / 3), 127 + 120 * np.sin(y / 7 - t / 5), (5 * t + x + y) % 256]
    return np.stack(colors, -1).astype(np.uint8)


# Files


def test_a_file_gives_unit_rows_for_each_view(model, clips):
    z = model.embed(clips[0])
    assert {name: (x.shape, x.dtype) for name, x in z.items()} == dict.fromkeys(
        ("video", "audio"), ((1, 6), torch.float32)
    )
    for x in z.values():
        close(x.norm(dim=1), torch.ones(1))
        assert not x.requires_grad
    assert model.dims == {"video": 6, "audio": 6}
    assert model.embed(str(clips[0]))["video"].equal(z["video"])


def test_rows_come_in_order_and_do_not_depend_on_their_neighbours(model, clips):
    alone = [model.embed(path) for path in clips]
    for settings in ({}, {"batch_size": 1}, {"batch_size": 3, "workers": 2}):
        z = model.embed(clips, **settings)
        for view, x in z.items():
            close(x, torch.cat([one[view] for one in alone]))
    turned = model.embed(clips[::-1], batch_size=2)
    close(turned["audio"].flip(0), torch.cat([one["audio"] for one in alone]))


def test_a_file_gives_what_the_folder_does(model, tiny_videos, tmp_path):
    table = embed_folder(model, tiny_videos, tmp_path / "emb", workers=0, batch_size=5)
    paths = [tiny_videos / path for path in table.paths[:6]]
    for view in ("video", "audio"):
        close(torch.from_numpy(table[view][:6]), model.embed(paths)[view])
        raw = model.embed(paths, views=view, layer="feature", normalize=False)
        close(table.vectors(f"{view}.feature")[:6], raw[view])
    assert (table.card["weights"], table.card["training_overlap"]) == (model.fingerprint, None)


def test_layers_and_scaling(model, clips):
    z = model.embed(clips[:2], views=["audio"])
    assert list(z) == ["audio"]
    raw = model.embed(clips[:2], views=["audio"], normalize=False)["audio"]
    close(torch.nn.functional.normalize(raw, dim=1), z["audio"])
    features = model.embed(clips[:2], layer="feature", normalize=False)
    assert features["audio"].shape == (2, 32)
    with torch.no_grad():
        close(model.branches["audio"].head(features["audio"]), raw)


def test_nothing_of_the_callers_changes(model, clips):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = list[torch.Tensor]()
    thread = threading.Thread(target=lambda: found.append(model.embed(clips[:2], workers=2)["audio"]))
    thread.start()
    thread.join()
    assert torch.get_rng_state().equal(state)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, True)
    weight = torch.ones(6, requires_grad=True)
    (found[0] * weight).sum().backward()  # no inference tensor: a probe can be trained on it


def test_a_model_in_training_embeds_in_evaluation_mode_and_goes_on_training(model, clips):
    expected = model.embed(clips[:2])
    try:
        model.branches["video"].train()
        statistics = {name: x.clone() for name, x in model.branches.named_buffers()}
        close(model.embed(clips[:2])["video"], expected["video"])
        assert model.branches["video"].training
        assert not model.branches["audio"].training
        assert all(x.equal(statistics[name]) for name, x in model.branches.named_buffers())
    finally:
        model.branches.eval()


def test_joint_branches_and_a_branch_for_each_camera():
    encoders = {
        "video": VisionTransformer([4, 24, 24], [2, 12, 12], width=8, depth=1, heads=2),
        "audio": VisionTransformer([65, 80], [13, 16], channels=1, width=8, depth=1, heads=2),
    }
    model = Model(JointBranches(encoders, depth=1, heads=2).eval(), VIEWS)
    assert model.dims == {"video": 8, "audio": 8}
    assert "audio: VisionTransformer, 0.8 s at 8000 Hz -> 8" in repr(model)
    transform = ImageEval(size=16)
    view = ImageView(train=transform, eval=transform)
    cameras = Model(Branches({"left": Colors(), "right": Colors()}), {"image": view})
    assert list(cameras.embed(image=film(1)[0])) == ["left", "right"]


# Arrays


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44_100, 2), (48_000, 1), (16_000, 9), (7350, 2)])
def test_samples_give_what_a_wav_file_does(model, tmp_path, rate_hz, channels):
    samples = chirp(2.3, rate_hz, channels)
    path = write_wav(tmp_path / "x.wav", samples, rate_hz)
    expected = model.embed(path, views=["audio"])["audio"]
    channels_first = np.ascontiguousarray(samples.T)
    as_float = torch.from_numpy(channels_first.astype(np.float64) / 2**15)
    as_int32 = channels_first.astype(np.int32) * 2**16
    for given in (channels_first, samples.T, torch.from_numpy(channels_first), as_float, as_float.float(), as_int32):
        close(
            input_of(VIEWS, audio=given, rate_hz=rate_hz)["audio"], input_of(VIEWS, path, "audio")["audio"], 1e-3
        )  # dB
        close(model.embed(audio=given, rate_hz=rate_hz)["audio"], expected, 1e-6)
    if channels == 1:
        close(model.embed(audio=channels_first[0], rate_hz=rate_hz)["audio"], expected, 1e-6)


@pytest.mark.parametrize(("fps", "size"), [(25, (40, 60)), (8, (24, 24)), (Fraction(24_000, 1001), (61, 33))])
def test_frames_and_samples_give_what_a_lossless_file_does(model, tmp_path, fps, size):
    # 49: no frame that is asked for starts within the millisecond that mkv rounds times to
    frames, samples = film(49, *size), chirp(49 / fps, 16_000)
    path = write_video(tmp_path / "x.mkv", frames, fps, samples, 16_000)
    expected = model.embed(path)
    for given in (frames, torch.from_numpy(frames).permute(0, 3, 1, 2)):
        arrays = {"video": given, "fps": fps, "audio": samples[:, 0], "rate_hz": 16_000}
        close(input_of(VIEWS, **arrays)["video"], input_of(VIEWS, path)["video"], 1.01 / 255)
        found = model.embed(**arrays)
        close(found["video"], expected["video"], 2e-5)
        close(found["audio"], expected["audio"], 1e-4 if isinstance(fps, int) else 0.1)  # it starts up to 1 ms off
    close(model.embed(video=frames, fps=float(fps))["video"], expected["video"], 2e-5)


def test_pictures_give_what_their_files_do(image_model, tmp_path):
    image = film(1, 50, 70)[0]
    Image.fromarray(image).save(tmp_path / "x.png")
    expected = image_model.embed(tmp_path / "x.png")["image"]
    pil = Image.open(tmp_path / "x.png")
    for given in (image, torch.from_numpy(image).permute(2, 0, 1), pil, pil.convert("RGBA"), tmp_path / "x.png"):
        close(image_model.embed(image=given)["image"], expected, 0.0)
    turned = image_model.embed(image=[image, pil, np.moveaxis(image, 2, 0)[:, ::-1]])["image"]
    close(turned[:2], expected.expand(2, -1), 0.0)
    grey = image_model.embed(image=image[:, :, 0])["image"]
    close(grey, image_model.embed(image=np.stack([image[:, :, 0]] * 3))["image"], 0.0)


def test_the_middle_frame_of_a_video_is_its_picture(image_model, tmp_path):
    frames = film(9)
    path = write_video(tmp_path / "x.mkv", frames, 10, None, 0)
    small = image_model.embed(path)["image"]
    assert image_model.similarity(small, image_model.embed(image=frames[4])["image"]) > 0.999


def test_lists_of_arrays_are_rows(model):
    waves = [chirp(1, 8000)[:, 0], chirp(2, 44_100)[:, 0]]
    z = model.embed(audio=waves, rate_hz=[8000, 44_100])["audio"]
    for n, rate_hz in enumerate((8000, 44_100)):
        close(z[n : n + 1], model.embed(audio=waves[n], rate_hz=rate_hz)["audio"])
    assert model.embed(video=[film(9), film(12)], fps=8)["video"].shape == (2, 6)


def test_together_they_share_a_clock():
    """The audio's window is around the video's, in the middle of the span in which both play."""
    samples, frames = chirp(4, 8000)[:, 0], film(8)
    both = input_of(VIEWS, video=frames, fps=8, audio=samples, rate_hz=8000)["audio"]
    close(both, input_of(VIEWS, audio=samples[:8000], rate_hz=8000)["audio"])
    assert (both - input_of(VIEWS, audio=samples, rate_hz=8000)["audio"]).abs().max() > 1  # of 20 dB


# Mistakes

WAVE, FRAMES = np.zeros(8000, np.int16), np.zeros((9, 8, 8, 3), np.uint8)
MISTAKES = {
    "files=None; allowed: a path": {},
    "files=b'x'; allowed: a path": {"files": b"x"},
    "files=''; allowed": {"files": ""},
    "files=[]; allowed: one path and more": {"files": []},
    "files=3; allowed": {"files": 3},
    "files: an array": {"files": WAVE},
    "nowhere.mp4: no such file": {"files": "nowhere.mp4"},
    ": a folder; allowed: files; avssl.embed": {"files": "."},
    "files and audio=: both": {"files": "x.wav", "audio": WAVE, "rate_hz": 8000},
    "views='smell'; allowed: some of video, audio": {"files": "x.wav", "views": "smell"},
    "views=[]; allowed": {"files": "x.wav", "views": []},
    "views=['video']; allowed: views of what is given; video needs video=": {
        **{"audio": WAVE, "rate_hz": 8000, "views": ["video"]}
    },
    "image=: no view reads it; allowed: audio=, video=": {"image": FRAMES[0]},
    "audio=: no view reads it; allowed: video=": {
        **{"audio": WAVE, "rate_hz": 8000, "video": FRAMES, "fps": 8, "views": ["video"]}
    },
    "layer='head'; allowed: embedding, feature": {"files": "x.wav", "layer": "head"},
    "batch_size=0; allowed: 1 and more": {"files": "x.wav", "batch_size": 0},
    "workers=-1; allowed": {"files": "x.wav", "workers": -1},
    "rate_hz=None; allowed: Hz above 0": {"audio": WAVE},
    "rate_hz=0; allowed": {"audio": WAVE, "rate_hz": 0},
    "rate_hz='8k'; allowed": {"audio": WAVE, "rate_hz": "8k"},
    "rate_hz=8000.5; allowed: whole": {"audio": WAVE, "rate_hz": 8000.5},
    "rate_hz=[8000]; allowed: one number in Hz, or one for each of 2": {"audio": [WAVE, WAVE], "rate_hz": [8000]},
    "rate_hz=8000; allowed: None": {"video": FRAMES, "fps": 8, "rate_hz": 8000},
    "fps=8; allowed: None without video=": {"files": "x.wav", "fps": 8},
    "fps=None; allowed: frames per second above 0": {"video": FRAMES},
    "fps=-1; allowed": {"video": FRAMES, "fps": -1},
    "fps=nan; allowed": {"video": FRAMES, "fps": float("nan")},
    "audio: int64 [8000]; allowed: [samples]": {"audio": WAVE.astype(np.int64), "rate_hz": 8000},
    "audio: int16 [1 1 8000]; allowed: [samples] or [channels samples]": {"audio": WAVE[None, None], "rate_hz": 8000},
    "audio: int16 [0] is empty": {"audio": WAVE[:0], "rate_hz": 8000},
    "audio: int16 [8000 2] has more channels than samples": {"audio": np.zeros((8000, 2), np.int16), "rate_hz": 8000},
    "audio: a bytes; allowed: numpy": {"audio": WAVE.tobytes(), "rate_hz": 8000},
    "audio[0]: 0.0; allowed: numpy": {"audio": [0.0, 0.1], "rate_hz": 8000},
    "audio=[]; allowed": {"audio": [], "rate_hz": 8000},
    "audio: holds values that are not finite": {"audio": np.full(8000, np.nan), "rate_hz": 8000},
    "audio[1]: float64 up to 30000": {"audio": [WAVE, np.full(8000, 30_000.0)], "rate_hz": 8000},
    "audio: lasts 0.5 s; allowed: 0.8 s and more, for the view audio": {"audio": WAVE[:4000], "rate_hz": 8000},
    "audio[1]: lasts 0.5 s": {"audio": [WAVE, WAVE[:4000]], "rate_hz": 8000},
    "video and audio: lasts 0.5 s": {"audio": WAVE, "rate_hz": 8000, "video": FRAMES, "fps": 18},
    "video: float32 [9 8 8 3]; allowed: uint8": {"video": FRAMES.astype(np.float32), "fps": 8},
    "video: uint8 [9 8 8]; allowed: uint8 [frames height width 3]": {"video": FRAMES[..., 0], "fps": 8},
    "video: uint8 [9 8 8 4]": {"video": np.zeros((9, 8, 8, 4), np.uint8), "fps": 8},
    "video: uint8 [0 8 8 3] is empty": {"video": FRAMES[:0], "fps": 8},
    "video: uint8 [1 9 8 8 3]; allowed: uint8 [frames height width 3] or [frames 3 height width], a list": {
        **{"video": FRAMES[None], "fps": 8}
    },
    "audio: a list of 1, and video one of 2": {"audio": [WAVE], "rate_hz": 8000, "video": [FRAMES] * 2, "fps": 8},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_one_line_that_names_the_argument(model, message):
    with pytest.raises(UserError) as caught:
        model.embed(**MISTAKES[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_that_are_none(image_model):
    for image, message in (
        (np.zeros((8, 8, 3), np.float32), "image: float32 [8 8 3]; allowed: uint8"),
        (np.zeros((8, 8, 2), np.uint8), "image: uint8 [8 8 2]; allowed"),
        (np.zeros((0, 8, 3), np.uint8), "is empty"),
        (Image.new("I", (8, 8)), "a PIL image of mode I"),
        ("nowhere.png", "nowhere.png: No such file"),
    ):
        with pytest.raises(UserError) as caught:
            image_model.embed(image=image)
        assert message in str(caught.value)


def test_files_that_lack_a_stream_or_are_short_say_what_can_be_done(model, tmp_path, clips):
    silent = write_video(tmp_path / "silent.mkv", film(20), 10, None, 0)
    with pytest.raises(
        UserError, match=r"silent.mkv: no_audio; allowed: files with video and audio of 0.8 s and more, "
    ):
        model.embed(silent)
    with pytest.raises(UserError, match=r"or views=\['video'\]$"):
        model.embed(silent)
    assert list(model.embed(silent, views=["video"])) == ["video"]
    short = write_wav(tmp_path / "short.wav", chirp(0.5, 8000), 8000)
    with pytest.raises(UserError, match=r"too_short: it plays for 0.5 s; allowed: files with audio of 0.8 s and more$"):
        model.embed(short, views=["audio"])
    (tmp_path / "text.mp4").write_text("no video")
    files = [clips[0], tmp_path / "text.mp4", clips[1], silent]
    with pytest.raises(UserError, match=r"text.mp4: .*\(2 of 4 files cannot be embedded\)$"):
        model.embed(files)


def test_a_file_that_breaks_while_it_is_read_is_named(model, tmp_path, clips, monkeypatch):
    from avssl.evaluation import inputs

    opened = inputs.open_reader

    def vanishing(path, decoder):
        path.unlink(missing_ok=True)
        return opened(path, decoder)

    copies = [tmp_path / path.name for path in clips[:3]]
    for path, copy in zip(clips, copies, strict=False):
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(inputs, "open_reader", vanishing)
    with pytest.raises(UserError, match=rf"{copies[0].name}: No such file or directory \(3 of 3 files"):
        model.embed(copies, batch_size=2)


def test_weights_that_give_no_numbers_are_named(clips):
    branches = Branches({"audio": Branch(Conv2D10(width=2), MLP([16, 6]))}).eval()
    torch.nn.init.constant_(branches["audio"].head[0].bias, torch.inf)
    with pytest.raises(UserError, match=f"{clips[1].name}: the model's embedding of its audio is not finite"):
        Model(branches, {"audio": VIEWS["audio"]}).embed(clips[1:3])


def test_views_without_branches_and_branches_without_views():
    branches = Branches({"audio": Conv2D10(width=2)})
    with pytest.raises(UserError, match="one for each view: video, audio"):
        Model(branches, VIEWS)
    with pytest.raises(UserError, match="one for each branch: audio, smell"):
        Model(Branches({**branches, "smell": Conv2D10(width=2)}), {"audio": VIEWS["audio"], "audio/b": VIEWS["audio"]})


def test_similarity_is_the_cosine():
    a, b = torch.randn(3, 5), np.random.default_rng(0).normal(size=(4, 5))
    expected = torch.nn.functional.cosine_similarity(a[:, None], torch.tensor(b).float()[None], dim=2)
    close(Model.similarity(a, b), expected, 1e-6)
    close(Model.similarity(a[0], b), expected[:1], 1e-6)
    for given, message in (
        (({"audio": a}, a), r"a: a dict; allowed: one of its values, a\['audio'\]"),
        ((a, torch.randn(2, 4)), "b: 4 numbers a row; allowed: 5, as a has"),
        ((a[None], a), r"a: shape \[1, 3, 5\]"),
        ((a, None), "b: a NoneType"),
        ((a, a / 0), "b: holds values that are not finite"),
    ):
        with pytest.raises(UserError, match=message):
            Model.similarity(*given)


def test_natural_videos_and_odd_files(model, shared, tmp_path):
    natural = sorted((shared / "data" / "natural").glob("*.mp4"))
    z = model.embed(natural, views="video")["video"]
    assert z.shape == (6, 6)
    with pytest.raises(UserError, match=r"\(2 of 6 files cannot be embedded\)$"):
        model.embed(natural)
    odd = shared / "data" / "odd_media"
    for name in ("nasa_13013_rotated.mp4", "h264_10bits.mp4", "h265_video.mp4", "-video-with-dash-.mp4"):
        table = embed_folder(
            model, only(odd / name, tmp_path / name), tmp_path / f"{name}.emb", views=["video"], workers=0
        )
        close(model.embed(odd / name, views="video")["video"], torch.from_numpy(table["video"]), 1e-6)
    for name, views in (("with-attached-pic.mp3", "audio"), ("sine_16ch_s16.wav", "audio"), ("av1_video.mkv", "video")):
        assert model.embed(odd / name, views=views)[views].isfinite().all()
    for name in ("corrupted.mp4", "no_duration.webm"):
        with pytest.raises(UserError, match=name):
            model.embed(odd / name)


def only(file: Path, folder: Path) -> Path:
    """A folder with this file."""
    folder.mkdir()
    (folder / file.name).write_bytes(file.read_bytes())
    return folder
