"""Each augmentation does what its settings say, draws from the sample's seed alone, and is off where none is asked."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
import torch

from avssl.cli.compose import compose
from avssl.cli.training import make_source
from avssl.data.decode.readers import audio
from avssl.data.encode import write_clip
from avssl.data.stream.samples import ClipKey, Sample
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.background import BackgroundMix, recordings
from avssl.data.transforms.spec_augment import SpecAugment
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.data.transforms.waveform import Gain, TimeShift
from avssl.types import UserError

RATE_HZ = 8000


def noise(seconds: float = 0.5, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, round(seconds * RATE_HZ), generator=torch.Generator().manual_seed(seed))


def write_sound(file: Path, samples: torch.Tensor) -> None:
    """A file with sound; its picture is of no interest."""
    file.parent.mkdir(parents=True, exist_ok=True)
    frames = torch.zeros(math.ceil(10 * samples.shape[1] / RATE_HZ), 16, 16, 3, dtype=torch.uint8)
    write_clip(file, frames.numpy(), 10, samples[0].numpy(), RATE_HZ)


def test_gain_is_drawn_evenly_between_its_bounds() -> None:
    samples = noise()
    torch.manual_seed(0)
    decibels = torch.tensor([20 * float((Gain(6)(samples, RATE_HZ) / samples).mean().log10()) for _ in range(300)])
    assert decibels.abs().max() <= 6
    assert decibels.min() < -5
    assert decibels.max() > 5
    assert float(decibels.mean()) == pytest.approx(0, abs=0.6)


def test_a_shift_rolls_by_at_most_its_seconds() -> None:
    ramp = torch.arange(800.0)[None]
    torch.manual_seed(0)
    shifts = [int(TimeShift(0.05)(ramp, 1000)[0].argmin()) for _ in range(200)]
    shifts = [shift if shift < 400 else shift - 800 for shift in shifts]
    assert -50 <= min(shifts) < -40
    assert 40 < max(shifts) <= 50
    assert TimeShift(0.05)(ramp, 1000).sort().values.equal(ramp)


def test_masks_are_the_definition_in_plain_loops() -> None:
    levels = torch.rand(1, 12, 30, generator=torch.Generator().manual_seed(1)) + 1
    for seed in range(50):
        torch.manual_seed(seed)
        got = SpecAugment(band_masks=2, bands=5, frame_masks=3, frames=20, frame_share=0.2)(levels)
        torch.manual_seed(seed)
        expected = levels.clone()
        for axis, size, masks, widest in ((1, 12, 2, 5), (2, 30, 3, 6)):  # a fifth of 30 frames, less than 20
            widths = torch.randint(widest + 1, (masks,)).tolist()
            shares = torch.rand(masks).tolist()
            for width, share in zip(widths, shares, strict=True):
                start = int(share * (size - width + 1))
                expected.narrow(axis, start, width).zero_()
        assert got.equal(expected)


def test_masks_reach_both_ends_and_keep_to_their_widths() -> None:
    torch.manual_seed(0)
    ones = torch.ones(1, 8, 10)
    masks = [SpecAugment(band_masks=1, bands=3, frame_masks=0)(ones)[0, :, 0] == 0 for _ in range(300)]
    hidden = torch.stack(masks)
    assert hidden.sum(1).unique().tolist() == [0, 1, 2, 3]
    assert hidden.any(0).all()
    whole = SpecAugment(band_masks=0, frame_masks=5, frames=99)  # wider than the clip
    assert min(float(whole(ones).sum()) for _ in range(30)) == 0


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_the_background_is_softer_by_the_ratio_asked_for(tmp_path: Path, snr_db: float) -> None:
    write_sound(tmp_path / "a.mp4", 0.3 * noise(1.0, 1).tanh())
    samples = 0.1 * noise()
    torch.manual_seed(0)
    added = BackgroundMix(tmp_path, snr_db=(snr_db, snr_db), share=1.0)(samples, RATE_HZ) - samples
    ratio = 10 * (samples.square().mean() / added.square().mean()).log10()
    assert float(ratio) == pytest.approx(snr_db, abs=0.01)


def test_the_background_is_a_window_of_the_file_and_repeated_where_it_is_short(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.mp4", 0.3 * noise(0.25, 1).tanh())
    samples = noise(0.6)
    torch.manual_seed(0)
    mix = BackgroundMix(tmp_path, share=1.0)
    added = mix(samples, RATE_HZ) - samples
    (recording,) = recordings(tmp_path)
    period = round(recording.duration_s * RATE_HZ)
    torch.testing.assert_close(added[:, :period], added[:, period : 2 * period], atol=1e-5, rtol=0)
    cut = audio(tmp_path / "a.mp4", recording.start_s, recording.duration_s, RATE_HZ)
    assert float(torch.cosine_similarity(added[0, :period], cut[0], 0)) == pytest.approx(1, abs=1e-4)


def test_the_share_and_the_choice_follow_the_seed(tmp_path: Path) -> None:
    for number in range(3):
        write_sound(tmp_path / f"{number}.mp4", 0.3 * noise(1.0, number).tanh())
    samples = noise()
    mix = BackgroundMix(tmp_path, share=0.5)
    mixed, again = ([], [])
    for results in (mixed, again):
        for seed in range(40):
            torch.manual_seed(seed)
            results.append(mix(samples, RATE_HZ))
    assert all(a.equal(b) for a, b in zip(mixed, again, strict=True))
    assert 10 < sum(not x.equal(samples) for x in mixed) < 30
    silent = torch.zeros(1, 4000)
    assert BackgroundMix(tmp_path, share=1.0)(silent, RATE_HZ).equal(silent)


def test_files_that_cannot_be_mixed_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sound(tmp_path / "good.mp4", 0.3 * noise().tanh())
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    write_clip(tmp_path / "mute.mp4", torch.zeros(5, 16, 16, 3, dtype=torch.uint8).numpy(), 10, None, RATE_HZ)
    with caplog.at_level(logging.WARNING, "avssl"):
        BackgroundMix(tmp_path)
        BackgroundMix(tmp_path)
    (record,) = caplog.records
    assert "2 of 3 left out: bad.wav: " in record.getMessage()
    assert "mute.mp4: no sound" in record.getMessage()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"folder=.*empty: no sound in it; allowed: a folder of sound files"):
        BackgroundMix(tmp_path / "empty")
    with pytest.raises(UserError, match="no such folder"):
        BackgroundMix(tmp_path / "nowhere")


def test_what_was_usable_and_breaks_later_ends_the_sample_with_its_name(tmp_path: Path, tiny_videos: Path) -> None:
    write_sound(tmp_path / "a.mp4", 0.3 * noise().tanh())
    source = folder(f"data.views.audio.train.before.background={{folder: '{tmp_path}', share: 1.0}}")
    train = source.train_set(source.trainable(source.at(tiny_videos).find()).files, 0, 1)
    assert isinstance(train[ClipKey(0, 0, 0)], Sample)
    (tmp_path / "a.mp4").unlink()
    broken = train[ClipKey(0, 0, 0)]
    assert not isinstance(broken, Sample)
    assert broken.path == str(tmp_path / "a.mp4")


def test_steps_go_in_order_before_and_after() -> None:
    seen = []

    def change(samples: torch.Tensor, rate_hz: int) -> torch.Tensor:
        seen.append(("change", rate_hz))
        return 10 * samples

    def hide(levels: torch.Tensor) -> torch.Tensor:
        seen.append(("hide", 0))
        return levels + 1

    samples = noise()
    steps = {"one": change, "none": None, "two": change}
    got = LogSpectrogram(RATE_HZ, before=steps, after={"hide": hide})(samples)
    torch.testing.assert_close(got, LogSpectrogram(RATE_HZ)(samples) + 41, atol=1e-3, rtol=0)
    assert seen == [("change", RATE_HZ)] * 2 + [("hide", 0)]


def folder(*overrides: str, data: str = "folder"):
    config = compose("train", [f"data={data}", *overrides, "name=test", "data.root=x", "data.size=24"])
    return make_source(config.data)


def test_by_default_nothing_new_is_done_and_nothing_is_drawn() -> None:
    views = folder().views
    samples, frames = noise(2.0), torch.randint(0, 256, (4, 3, 40, 60), dtype=torch.uint8)
    for transform, plain, given in (
        (views["audio"].train, LogSpectrogram(24_000, n_mels=64, volume_jitter=0.1), samples),
        (views["video"].train, VideoTrain(24), frames),
    ):
        torch.manual_seed(3)
        expected, state = plain(given), torch.get_rng_state()
        torch.manual_seed(3)
        assert transform(given).equal(expected)
        assert torch.get_rng_state().equal(state)


def test_keys_switch_the_augmentations_on_in_training_alone(tmp_path: Path, tiny_videos: Path) -> None:
    write_sound(tmp_path / "a.mp4", 0.3 * noise(3.0).tanh())
    on = {
        "before.gain.db=6",
        "before.shift.seconds=0.2",
        f"before.background.folder='{tmp_path}'",
        "after.masks.band_masks=2",
        "after.masks.frame_masks=2",
    }
    plain = folder()
    files = plain.trainable(plain.at(tiny_videos).find()).files
    key = ClipKey(0, 3, 0)

    def heard(source) -> tuple[torch.Tensor, torch.Tensor]:
        samples = [make(files, 0, 1)[key] for make in (source.train_set,)] + [source.eval_set(files, 1)[key]]
        assert all(isinstance(sample, Sample) for sample in samples)
        return samples[0].views["audio"], samples[1].views["audio"]

    trained, evaluated = heard(plain)
    for step in on:
        share = ["data.views.audio.train.before.background.share=1.0"] if "background" in step else []
        changed = folder(f"data.views.audio.train.{step}", *share)
        one, same = heard(changed)
        assert not one.equal(trained), step
        assert same.equal(evaluated), step
        assert one.equal(heard(changed)[0]), step


def test_video_multicrop_gives_large_and_small_crops_at_places_of_their_own(tiny_videos: Path) -> None:
    source = folder("data.local_size=16", data="video_multicrop")
    files = source.trainable(source.at(tiny_videos).find()).files
    sample = source.train_set(files, 0, 1)[ClipKey(0, 0, 0)]
    assert isinstance(sample, Sample)
    large, small = (3, 8, 24, 24), (3, 4, 16, 16)
    sizes = {name: tuple(view.shape) for name, view in sample.views.items()}
    assert sizes == {f"video/global{n}": large for n in range(2)} | {f"video/local{n}": small for n in range(4)}
    assert not sample.views["video/global0"].equal(sample.views["video/global1"])
    assert not sample.views["video/local0"].equal(sample.views["video/local1"])
    assert list(source.eval_set(files, 1)[ClipKey(0, 0, 0)].views) == ["video"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Gain(-1), "db=-1; allowed: 0 to 60"),
        (lambda: TimeShift(-0.1), "seconds=-0.1; allowed: 0 and more"),
        (lambda: SpecAugment(band_masks=-1), "band_masks=-1; allowed: whole numbers from 0"),
        (lambda: SpecAugment(frame_share=2), "frame_share=2; allowed: 0 to 1"),
        (lambda: BackgroundMix(None, snr_db=[9, 3]), r"snr_db=\[9, 3\]; allowed: two numbers, the smaller one first"),
        (lambda: VideoTrain(24, flip=1.5), "flip=1.5; allowed: 0 to 1"),
        (lambda: VideoTrain(24, area=(0.5, 1.5)), r"area=\(0.5, 1.5\); allowed: two numbers"),
        (lambda: VideoTrain(24, jitter=(0, 0, 0, 0.6)), "jitter=.*hue up to 0.5"),
        (lambda: LogSpectrogram(volume_jitter=1.5), "volume_jitter=1.5; allowed: 0 to 1"),
        (lambda: LogSpectrogram(rate_hz=0), "rate_hz=0; allowed: whole numbers from 1"),
    ],
)
def test_wrong_values_are_named_with_what_is_allowed(build, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build()


def test_what_the_network_sees_can_be_shown() -> None:
    frames = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    assert VideoEval(24).denormalise(VideoEval(24)(frames)).equal(frames)
    plain = LogSpectrogram(RATE_HZ, n_mels=8)
    normal = LogSpectrogram(RATE_HZ, n_mels=8, mean=[-30.0] * 8, std=[20.0] * 8)
    samples = noise()
    torch.testing.assert_close(normal.denormalise(normal(samples)), plain(samples), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", [{"n_mels": 32}, {"bands": 65}])
def test_a_tone_is_loudest_in_the_band_of_its_frequency(kind: dict) -> None:
    transform = LogSpectrogram(RATE_HZ, n_fft=512, hop=80, **kind)
    middles = transform.band_hz
    for hz in (500.0, 1500.0, 3000.0):
        tone = torch.sin(2 * math.pi * hz * torch.arange(4000) / RATE_HZ)[None]
        loudest = int(transform(tone)[0].mean(1).argmax())
        assert loudest == int((middles - hz).abs().argmin())
