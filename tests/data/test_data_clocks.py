"""A clock that is off is found by the motion that all cameras see."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cameras_data import write_video

from avssl.data.clocks import ClockOffset, Motion, central_camera, clock_offset, motion_energy
from avssl.data.decode.media import DecodeError

REPO = Path(__file__).parents[2]


def bursts(seed: int, length_s: float = 10.0, fps: float = 50.0, start_s: float = 0.0) -> Motion:
    """Bumps of motion at random times of a scene, as a camera at `fps` sees them from `start_s` on."""
    rng = np.random.default_rng(seed)
    at, height, width = rng.uniform(0, 14, 12), rng.uniform(1, 5, 12), rng.uniform(0.05, 0.4, 12)
    times = start_s + np.arange(0, length_s, 1 / fps)
    return Motion(times, (height * np.exp(-(((times[:, None] - at) / width) ** 2))).sum(1) ** 2)


def late(motion: Motion, seconds: float) -> Motion:
    return Motion(motion.time_s + seconds, motion.energy)


@pytest.mark.parametrize("seconds", [0.0, 0.133, -0.42, 1.9])
def test_the_shift_of_a_clock_is_found(seconds: float):
    a, b = bursts(0), bursts(0, fps=30.0, start_s=0.7)
    found = clock_offset(a, late(b, seconds))
    assert found.ahead_s == pytest.approx(seconds, abs=0.002)  # finer than the grid of 0.01 s
    assert found.agreement > 0.98
    back = clock_offset(late(b, seconds), a)
    assert back.ahead_s == pytest.approx(-seconds, abs=0.01)


def test_the_best_shift_is_the_best_of_all_by_loops():
    a, b = bursts(1), bursts(2)
    grid = np.arange(1, 900) * 0.01
    scores = {}
    for lag in range(-50, 51):
        there = grid + lag * 0.01
        fits = (there >= b.time_s[0]) & (there <= b.time_s[-1])
        x = np.sqrt(np.interp(grid[fits], a.time_s, a.energy))
        y = np.sqrt(np.interp(there[fits], b.time_s, b.energy))
        scores[lag * 0.01] = np.corrcoef(x, y)[0, 1]
    best = max(scores, key=scores.__getitem__)
    cut = Motion(a.time_s[(a.time_s > 0.005) & (a.time_s < 9.0)], a.energy[(a.time_s > 0.005) & (a.time_s < 9.0)])
    found = clock_offset(cut, b, max_s=0.5)
    assert found.ahead_s == pytest.approx(best, abs=0.015)
    assert found.agreement == pytest.approx(scores[best], abs=0.02)


def test_offsets_with_little_overlap_are_not_tried_and_stillness_tells_nothing():
    a = bursts(0, length_s=3.0)
    assert clock_offset(a, late(a, 2.5), max_s=5.0, least_s=1.0).ahead_s == pytest.approx(2.5, abs=0.01)
    assert np.isnan(clock_offset(a, late(a, 2.5), max_s=0.5).ahead_s)  # they overlap by 1 s of 3, at most
    still = Motion(a.time_s, np.zeros_like(a.energy))
    assert np.isnan(clock_offset(a, still).ahead_s)
    assert np.isnan(clock_offset(a, late(a, 100.0)).agreement)


def test_the_camera_that_most_agree_with_is_the_reference():
    clocks = {"a": 0.3, "b": 0.0, "c": 0.01}
    offsets = {(x, y): ClockOffset(clocks[y] - clocks[x], 0.9) for x, y in combinations(clocks, 2)}
    reference, ahead = central_camera(offsets)
    assert reference == "b"
    assert {camera: found.ahead_s for camera, found in ahead.items()} == pytest.approx({"a": 0.3, "c": 0.01})


def moving_square(seed: int, times_s: np.ndarray, noise: float) -> list[np.ndarray]:
    """A square that moves on at times that are the same for every seed of the noise.

    Every 10 + 3 * seed frames all of the picture changes a little, as at a codec's key frames.
    """
    rng, steps = np.random.default_rng(seed), [0.9, 1.3, 2.1, 2.4, 3.2, 3.9, 4.1]
    frames = []
    for n, time_s in enumerate(times_s):
        frame = 90 + 6 * (n // (10 + 3 * seed) % 2) + noise * rng.standard_normal((64, 64))
        moves = sum(min(max((time_s - step) / 0.2, 0), 1) for step in steps)
        place = 4 + int(6 * moves)
        frame[10 + seed : 20 + seed, place : place + 8] = 200
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return frames


def test_videos_of_one_motion_by_two_cameras(tmp_path: Path):
    one, other = np.arange(0, 5, 0.04), np.arange(0.52, 5, 0.05)
    write_video(tmp_path / "one.mkv", one.tolist(), moving_square(1, one, noise=3.0))
    write_video(tmp_path / "other.mkv", (other + 0.34).tolist(), moving_square(2, other, noise=3.0))
    found = clock_offset(motion_energy(tmp_path / "one.mkv"), motion_energy(tmp_path / "other.mkv"))
    assert found.ahead_s == pytest.approx(0.34, abs=0.03)
    assert found.agreement > 0.8
    assert len(motion_energy(tmp_path / "one.mkv", until_s=2.0).time_s) < 50


def test_a_video_too_short_to_move_is_named(tmp_path: Path):
    write_video(tmp_path / "short.mkv", [0.0, 0.04], [np.zeros((16, 16), np.uint8)] * 2)
    with pytest.raises(DecodeError, match=r"short.mkv: too short to compare its motion"):
        motion_energy(tmp_path / "short.mkv")


def test_the_four_cameras_of_the_lab_agree_until_one_is_set_ahead(shared: Path, tmp_path: Path):
    spec = importlib.util.spec_from_file_location("rig4", REPO / "data_prep" / "rig4.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    source = shared / "data" / "rig4"
    motions = {f"cam{n}": motion_energy(source / f"cam{n}" / "video.avi") for n in range(1, 5)}
    for one, other in combinations(motions, 2):
        found = clock_offset(motions[one], motions[other])
        assert abs(found.ahead_s) < 0.05, (one, other, found)
        assert found.agreement > 0.5
    for camera, ahead_s in (("cam1", 0.0), ("cam2", 0.2)):
        assert script.rewrite(source / camera / "video.avi", tmp_path / f"{camera}.mkv", 128, ahead_s) == 426
    written = clock_offset(motion_energy(tmp_path / "cam1.mkv"), motion_energy(tmp_path / "cam2.mkv"))
    assert written.ahead_s == pytest.approx(0.2, abs=0.05)
