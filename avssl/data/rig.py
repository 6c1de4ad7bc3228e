"""A rig's videos, FOLDER/CAMERA/FILE.mp4, cut into instants by the time stamps of their frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from avssl.data.scan import EXTENSIONS
from avssl.data.shot_scan import FileFacts, OnFile, files_below, look_at_all, nearest, row_of
from avssl.data.shots import Shots
from avssl.types import UserError


def takes(root: Path) -> dict[str, dict[str, str]]:
    """What was filmed at one time: the path by camera, by the files' common name.

    With one file per camera the files' names are free, and the only take is "". Raises UserError for one camera alone.
    """
    cameras: dict[str, list[str]] = {}
    for path in files_below(root, EXTENSIONS):
        cameras.setdefault(PurePosixPath(path).parts[0], []).append(path)
    if len(cameras) < 2 or any(len(PurePosixPath(path).parts) < 2 for paths in cameras.values() for path in paths):
        raise UserError(f"{root}: found {', '.join(cameras)}; allowed: folders of 2 cameras and more, CAMERA/FILE.mp4")
    if all(len(paths) == 1 for paths in cameras.values()):
        return {"": {camera: path for camera, (path,) in cameras.items()}}
    found: dict[str, dict[str, str]] = {}
    for camera, paths in cameras.items():
        for path in paths:
            found.setdefault(PurePosixPath(path).relative_to(camera).with_suffix("").as_posix(), {})[camera] = path
    return found


def scan_rig(
    root: Path,
    *,
    period_s: float | int,
    tolerance_s: float | int,
    offsets_s: Mapping[str, float | int],
    duration_s: float | int = 0.0,
    workers: int = 0,
    on_file: OnFile | None = None,
) -> Shots:
    """One instance each `period_s` of a take: of each camera the frame nearest to it, within `tolerance_s`.

    The cameras' files share a clock; `offsets_s` says by how much a camera's is ahead. A view of `duration_s` starts at
    the frame and must end within the video. A file that cannot be read is one shot with that status.
    """
    found = takes(root)
    cameras = sorted({camera for paths in found.values() for camera in paths})
    if unknown := sorted(set(offsets_s) - set(cameras)):
        raise UserError(f"offsets_s.{unknown[0]}: no such camera; allowed: {', '.join(cameras)}")
    facts = look_at_all(root, (path for paths in found.values() for path in paths.values()), workers, on_file)
    rows: list[dict[str, Any]] = []
    for take, paths in found.items():
        broken = {camera: path for camera, path in paths.items() if facts[path].times_s is None}
        rows += [row_of(path, facts[path], path, camera, "") for camera, path in broken.items()]
        good = {camera: path for camera, path in paths.items() if camera not in broken}
        clocks = {camera: _shared(facts[path]) - float(offsets_s.get(camera, 0)) for camera, path in good.items()}
        grid = _grid(clocks, period_s)
        for camera, path in good.items():
            times, own = clocks[camera], _shared(facts[path]) - facts[path].origin_s
            frames = nearest(times, grid)
            fits = np.abs(times[frames] - grid) <= tolerance_s + 1e-9
            fits &= times[frames] + duration_s <= _end(times) + 1e-9
            for instant, frame in zip(grid[fits].tolist(), frames[fits].tolist(), strict=True):
                name = f"{take}@{instant:.3f}" if take else f"{instant:.3f}"
                when = {"time": float(times[frame]), "at_s": float(own[frame])}
                rows.append(row_of(path, facts[path], name, camera, "", **when))
    return Shots.of(root, rows)


def _shared(facts: FileFacts) -> np.ndarray:
    assert facts.times_s is not None
    return facts.times_s


def _grid(clocks: Mapping[str, np.ndarray], period_s: float | int) -> np.ndarray:
    """The multiples of the period from the first frame of any camera to the last."""
    if not clocks:
        return np.zeros(0)
    first, last = min(times[0] for times in clocks.values()), max(times[-1] for times in clocks.values())
    return np.arange(math.ceil(first / period_s - 1e-9), math.floor(last / period_s + 1e-9) + 1) * period_s


def _end(times: np.ndarray) -> float:
    """When the last frame has been shown as long as most are."""
    return float(times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 0))
