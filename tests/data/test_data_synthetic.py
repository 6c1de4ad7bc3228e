"""Synthetic clips: sound and picture tell the same instance, by size and pitch and by the times of the impacts."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import av
import numpy as np

from avssl.data.bouncing import KINDS, PITCH_RANGE_HZ, RADIUS_RANGE, Scene, picture, sound
from avssl.data.synthetic import write_synthetic

REPO = Path(__file__).parents[2]
RATE_HZ = 16_000
SCENES = [Scene.draw(3, number) for number in range(64)]


def impacts_in_sound(samples: np.ndarray) -> np.ndarray:
    """Times at which the level of 5 ms jumps by a factor of 3 or more."""
    level = np.sqrt(np.mean(samples.reshape(-1, RATE_HZ // 200) ** 2, axis=1)) + 0.003
    jumps = np.flatnonzero(level[1:] > 3 * level[:-1]) + 1
    return jumps[np.diff(jumps, prepend=-100) > 8] / 200


def impacts_in_picture(frames: np.ndarray, fps: float) -> np.ndarray:
    """Times of the frames in which the floor gets brighter than it was."""
    floor = frames[:, -2:].mean(axis=(1, 2, 3))
    return (np.flatnonzero(np.diff(floor) > 5) + 1) / fps


def test_a_scene_is_a_function_of_seed_and_number() -> None:
    assert str(Scene.draw(3, 5)) == str(SCENES[5])
    assert str(Scene.draw(4, 5)) != str(SCENES[5])
    assert np.array_equal(picture(SCENES[5], 0.5, 16, 32), picture(Scene.draw(3, 5), 0.5, 16, 32))


def test_kinds_take_turns() -> None:
    assert Counter(scene.kind for scene in SCENES) == dict.fromkeys(KINDS, 8)


def test_the_object_stays_in_the_frame() -> None:
    for scene in SCENES:
        dark = Scene(**{**vars(scene), "background": np.zeros((2, 3)), "first_impact_s": 9.0, "first_flight_s": 9.5})
        frames = picture(dark, 2.0, 16, 64)
        border = [frames[:, 0], frames[:, -1], frames[:, :, 0], frames[:, :, -1]]
        assert max(int(side.max()) for side in border) < 200, scene


def test_impacts_are_seen_and_heard_at_the_same_time() -> None:
    fps = 200  # fine enough to compare
    for scene in SCENES[::4]:
        starts, _ = scene.flights()
        expected = starts[1:][starts[1:] < 2]
        assert len(expected) >= 2
        seen = impacts_in_picture(picture(scene, 2.0, fps, 32), fps)
        assert len(seen) == len(expected)
        assert np.abs(seen - expected).max() <= 1 / fps
        heard = impacts_in_sound(sound(scene, 2.0, RATE_HZ))
        assert abs(heard[0] - expected[0]) <= 0.01
        assert all(np.abs(expected - time).min() <= 0.01 for time in heard)


def test_small_objects_sound_high() -> None:
    """The strongest frequency of the kind with one partial, against the area that the object covers."""
    discs = [scene for scene in SCENES if scene.kind == "disc"]
    heard, seen = [], []
    for scene in discs:
        spectrum = np.abs(np.fft.rfft(sound(scene, 2.0, RATE_HZ)))
        heard.append(spectrum.argmax() / 2)
        frame = picture(Scene(**{**vars(scene), "background": np.zeros((2, 3))}), 2.0, 16, 64)[0]
        seen.append(np.sqrt((frame.max(axis=-1) > 127).sum() / np.pi) / 64)
    octaves = np.log2(PITCH_RANGE_HZ[1] / np.array(heard))
    expected = 3 * np.log(np.array(seen) / RADIUS_RANGE[0]) / np.log(RADIUS_RANGE[1] / RADIUS_RANGE[0])
    assert np.abs(octaves - expected).max() < 0.15


def test_kinds_sound_different() -> None:
    """At one pitch, the spectra of any two kinds have a cosine below 0.9."""
    spectra = []
    for kind in KINDS:
        spectrum = np.abs(np.fft.rfft(sound(Scene(**{**vars(SCENES[0]), "kind": kind, "radius": 0.12}), 2.0, RATE_HZ)))
        spectra.append(spectrum / np.linalg.norm(spectrum))
    cosine = np.array(spectra) @ np.array(spectra).T
    assert cosine[~np.eye(len(KINDS), dtype=bool)].max() < 0.9


def test_edges_are_anti_aliased() -> None:
    """The covered area changes smoothly with the radius, far below one pixel."""
    areas = []
    for radius in np.linspace(0.150, 0.152, 9):
        scene = Scene(**{**vars(SCENES[0]), "radius": radius, "background": np.zeros((2, 3)), "color": np.ones(3)})
        areas.append(picture(scene, 1 / 16, 16, 64)[0, :, :, 0].sum() / 255)
    steps = np.diff(areas)
    assert steps.min() > 0
    assert steps.max() < 2.5 * steps.mean()


def test_files(tmp_path: Path) -> None:
    write_synthetic(tmp_path, clips=9, seed=1, size=32, duration_s=1.0, workers=2)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4"))
    assert names == sorted(f"{kind}/{kind}_{n:05d}.mp4" for n, kind in enumerate([*KINDS, "disc"]))
    with av.open(str(tmp_path / "star" / "star_00006.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.frames, video.width, video.height, video.average_rate) == (16, 32, 32, 16)
        assert (audio.rate, audio.channels, audio.duration * audio.time_base) == (16_000, 1, 1)
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(decoded - picture(Scene.draw(1, 6), 1.0, 16, 32)[0].astype(float)).mean() < 6


def test_script_writes_disjoint_parts(tmp_path: Path) -> None:
    script = REPO / "data_prep" / "synthetic.py"
    command = [sys.executable, str(script), str(tmp_path), "--train", "8", "--test", "8", "--seed", "5"]
    subprocess.run(command, check=True, capture_output=True)
    parts = {part: {path.read_bytes() for path in (tmp_path / part).rglob("*.mp4")} for part in ("train", "test")}
    assert [len(files) for files in parts.values()] == [8, 8]
    assert not parts["train"] & parts["test"]
