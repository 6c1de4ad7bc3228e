"""What is written is what is read back: picture, sound, and the time of both."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from avssl.data.bouncing import Scene, picture
from avssl.data.encode import write_clip

FPS, RATE_HZ = 16, 8000


def moving_bar(frames: int = 16, size: int = 32) -> np.ndarray:
    picture = np.zeros((frames, size, size, 3), np.uint8)
    for index, frame in enumerate(picture):
        frame[:, : 2 * index] = 200
    return picture


def clicks(*times_s: float) -> np.ndarray:
    """Decaying tones that start at these times."""
    t = np.arange(RATE_HZ) / RATE_HZ
    notes = [
        (t >= start) * np.sin(2 * np.pi * 600 * (t - start)) * np.exp(-(t - start).clip(0) * 20) for start in times_s
    ]
    return (0.7 * np.sum(notes, axis=0)).astype(np.float32)


def decode(path: Path) -> tuple[np.ndarray, list[float], np.ndarray | None]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    frames = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return frames, [frame.time for frame in decoded], None
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return frames, [frame.time for frame in decoded], samples


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_bar(), FPS, clicks(0.0, 0.25, 0.7), RATE_HZ)
    return path


def test_frames_come_back_in_number_time_and_value(clip: Path) -> None:
    frames, times_s, _ = decode(clip)
    assert times_s == [index / FPS for index in range(16)]
    error = frames.astype(float) - moving_bar()
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 35


def test_sound_comes_back_in_its_place(clip: Path) -> None:
    samples, expected = decode(clip)[2], clicks(0.0, 0.25, 0.7)
    assert samples is not None
    assert len(samples) >= RATE_HZ
    assert np.corrcoef(samples[:RATE_HZ], expected)[0, 1] > 0.999  # at lag 0: the encoder's priming is cut
    assert np.abs(samples[:RATE_HZ] - expected).max() < 0.05


def test_both_streams_last_as_long_as_what_was_written(clip: Path) -> None:
    with av.open(str(clip)) as container:
        spans = [float(s.duration * s.time_base) for s in container.streams]
        starts = [s.start_time for s in container.streams]
    assert spans == [1.0, 1.0]
    assert starts == [0, 0]


def test_a_key_frame_at_least_every_gop(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_bar(), FPS, None, RATE_HZ, gop=4)
    with av.open(str(path)) as container:
        keys = [frame.key_frame for frame in container.decode(video=0)]
    assert keys[0]
    assert all(any(keys[start : start + 4]) for start in range(13))


def test_tensors_and_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    write_clip(path, torch.from_numpy(moving_bar()), FPS, None, RATE_HZ)
    frames, _, samples = decode(path)
    assert frames.shape == (16, 32, 32, 3)
    assert samples is None


def test_loud_samples_are_clipped(tmp_path: Path) -> None:
    path = tmp_path / "loud.mp4"
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    write_clip(path, moving_bar(), FPS, 100 * tone, RATE_HZ)
    samples = decode(path)[2]
    assert samples is not None
    assert 0.9 < np.abs(samples).max() < 1.5


@pytest.mark.parametrize("name", ["a:b.mp4", "-i.mp4", "日本 %03d.mp4"])
def test_any_name(tmp_path: Path, name: str) -> None:
    write_clip(tmp_path / name, moving_bar(4), FPS, None, RATE_HZ)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"older")
    with pytest.raises((ValueError, OverflowError, av.error.FFmpegError)):
        write_clip(path, moving_bar(), FPS, clicks(0.0), 8001)  # a rate that aac does not know
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]
    assert path.read_bytes() == b"older"


def test_odd_sides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even height and width, got 31x32"):
        write_clip(tmp_path / "odd.mp4", moving_bar()[:, 1:], FPS, None, RATE_HZ)


def test_the_same_clip_gives_the_same_file(tmp_path: Path) -> None:
    files = set()
    for _ in range(8):
        clutter = [np.random.default_rng().random(np.random.default_rng().integers(1, 200_000)) for _ in range(20)]
        for number in range(6):
            write_clip(tmp_path / "clip.mp4", picture(Scene.draw(7, number), 2, 16, 32), 16, None, 8000)
            files.add((number, (tmp_path / "clip.mp4").read_bytes()))
        del clutter
    assert len(files) == 6
