"""A sample is a function of its key, and its windows lie where they should."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avssl.data.clip_files import FileOpener
from avssl.data.clips import AudioView, ClipDataset, VideoView, View, around, min_duration
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.statistics import spectrogram_statistics
from avssl.data.stream.loader import batches, eval_loader, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import Broken, ClipKey, Sample, collate, collate_eval
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.types import UserError

VIDEO = VideoView(frames=4, fps=16.0, train=VideoTrain(24), eval=VideoEval(24))
AUDIO = AudioView(duration_s=0.6, jitter_s=0.3, train=LogSpectrogram(volume_jitter=0.1), eval=LogSpectrogram())
VIEWS: dict[str, View] = {"video": VIDEO, "audio": AUDIO}


@pytest.fixture(scope="module")
def manifest(tiny_videos: Path) -> Manifest:
    usable, left_out = scan(tiny_videos).select(min_duration_s=min_duration(VIEWS))
    assert not left_out
    return usable


def dataset(manifest: Manifest, views: dict[str, View] = VIEWS, seed: int = 0, train: bool = True) -> ClipDataset:
    return ClipDataset(manifest, views, FileOpener(manifest), seed=seed, train=train, clips_per_video=3)


def get(clips: ClipDataset, *key: int) -> Sample:
    sample = clips[ClipKey(*key)]
    assert isinstance(sample, Sample)
    return sample


def same(a: Sample, b: Sample) -> bool:
    return a.start_s == b.start_s and all(a.views[name].equal(b.views[name]) for name in a.views)


def test_a_sample_is_a_function_of_its_key(manifest: Manifest) -> None:
    first = get(dataset(manifest), 1, 2, 0)
    torch.manual_seed(99)
    again = dataset(manifest)
    get(again, 0, 5, 1)
    state = torch.get_rng_state()
    assert same(first, get(again, 1, 2, 0))
    assert torch.get_rng_state().equal(state)
    for other in (get(again, 0, 2, 0), get(again, 1, 2, 1), get(dataset(manifest, seed=1), 1, 2, 0)):
        assert not same(first, other)


def test_a_sample_does_not_depend_on_its_row(manifest: Manifest) -> None:
    rest = Manifest(manifest.root, manifest.table.slice(2))
    assert same(get(dataset(manifest), 0, 2, 0), get(dataset(rest), 0, 0, 0))


def test_a_view_does_not_depend_on_the_others(manifest: Manifest) -> None:
    alone = get(dataset(manifest, {"video": VIDEO}), 0, 0, 0)
    assert alone.views["video"].equal(get(dataset(manifest), 0, 0, 0).views["video"])


def test_variants_draw_their_own_places_and_augmentations(manifest: Manifest) -> None:
    sample = get(dataset(manifest, {"video/0": VIDEO, "video/1": VIDEO}), 0, 0, 0)
    assert not sample.views["video/0"].equal(sample.views["video/1"])


def test_sound_alone_is_placed_by_itself(manifest: Manifest) -> None:
    starts = {get(dataset(manifest, {"audio": AUDIO}), 0, 0, clip).start_s for clip in range(3)}
    assert len(starts) == 3
    duration_s = manifest.column("duration_s")[0]
    assert all(0 <= start <= duration_s - AUDIO.duration_s for start in starts)


def test_eval_clips_are_evenly_spaced(manifest: Manifest) -> None:
    clips = dataset(manifest, train=False)
    start_s, duration_s = manifest.column("start_s")[0], manifest.column("duration_s")[0]
    room = duration_s - VIDEO.duration_s
    for clip, share in enumerate((1 / 6, 3 / 6, 5 / 6)):
        assert get(clips, 0, 0, clip).start_s == pytest.approx(start_s + share * room)
    one = ClipDataset(manifest, VIEWS, FileOpener(manifest), seed=0, train=False, clips_per_video=1)
    assert get(one, 0, 0, 0).start_s == pytest.approx(start_s + room / 2)
    assert same(get(one, 0, 0, 0), get(one, 7, 0, 0))


def test_the_window_contains_the_clip_inside_the_file() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        span = (draw.uniform(0, 1), draw.uniform(2, 4))
        end = span[0] + span[1]
        clip = draw.uniform(span[0], end - 0.5)
        start = around(clip, 0.5, 2.0, draw.uniform(-1.5, 1.5), span)
        assert span[0] - 1e-9 <= start <= end - 2 + 1e-9
        assert start <= clip + 1e-9
        assert clip + 0.5 <= start + 2 + 1e-9
    assert around(5.0, 0.5, 2.0, 0.0, (0.0, 20.0)) == 4.25
    assert around(5.0, 0.5, 2.0, 0.5, (0.0, 20.0)) == 4.75
    assert around(0.1, 0.5, 2.0, 0.0, (0.0, 20.0)) == 0.0
    assert around(5.0, 2.0, 0.5, 9.0, (0.0, 20.0)) == 6.5  # a window shorter than the clip lies in it


def test_batches_hold_samples_and_tell_broken_files(manifest: Manifest, tmp_path: Path) -> None:
    good = get(dataset(manifest), 0, 3, 0)
    broken = Broken(1, "x.mp4", "why")
    batch = collate([good, good])
    assert not isinstance(batch, Broken)
    assert batch.index.tolist() == [3, 3]
    assert batch.views["video"].shape == (2, 3, 4, 24, 24)
    assert batch.views["audio"].shape == (2, 1, 257, 60)
    assert collate([good, broken]) is broken
    evaluated = collate_eval([good, broken])
    assert evaluated.start_s == [good.start_s]
    assert evaluated.broken == [broken]
    assert collate_eval([broken]).batch is None
    gone = dataset(Manifest(tmp_path, manifest.table))[ClipKey(0, 0, 0)]
    assert isinstance(gone, Broken)
    assert "No such file" in gone.reason


def test_workers_give_the_samples_of_the_calling_process(manifest: Manifest) -> None:
    sampler = EpochSampler(len(manifest), 8, 2, seed=0)
    expected = list(batches(train_loader(dataset(manifest), sampler.at(1, 2), workers=0)))
    loader = train_loader(dataset(manifest), sampler, workers=2)
    sampler.at(0)
    assert len(list(batches(loader))) == 6
    sampler.at(1, 2)
    got = list(batches(loader))
    assert len(got) == len(expected) == 4
    for a, b in zip(expected, got, strict=True):
        assert a.index.equal(b.index)
        assert all(a.views[name].equal(b.views[name]) for name in a.views)


def test_a_file_that_vanishes_stops_training_by_its_name(manifest: Manifest, tmp_path: Path) -> None:
    moved = dataset(Manifest(tmp_path, manifest.table))
    with pytest.raises(UserError, match=r"\.mp4: No such file"):
        next(batches(train_loader(moved, EpochSampler(len(manifest), 8, 1, seed=0), workers=0)))
    evaluated = next(iter(eval_loader(moved, [[ClipKey(0, 0, 0), ClipKey(0, 1, 0)]], workers=0)))
    assert [broken.row for broken in evaluated.broken] == [0, 1]


def test_statistics_are_those_of_the_normalised_bands(manifest: Manifest) -> None:
    plain = dataset(manifest, {"audio": replace(AUDIO, train=AUDIO.eval)})
    mean, std = spectrogram_statistics(plain, len(manifest), seed=0)
    assert (mean, std) == spectrogram_statistics(plain, len(manifest), seed=0)
    assert len(mean) == len(std) == 257
    assert all(round(value, 4) == value for value in mean + std)
    values = torch.cat(
        [
            get(dataset(manifest, {"audio": AUDIO}, train=False), 0, row, 0).views["audio"][0]
            for row in range(len(manifest))
        ],
        1,
    )
    torch.testing.assert_close(torch.tensor(mean), values.mean(1), atol=6.0, rtol=0)  # other places, same sounds
    few = spectrogram_statistics(plain, len(manifest), seed=0, max_clips=2)
    assert few != (mean, std)
