"""From files to shots: every file is opened once, pictures are decoded, and none of them can stop the scan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from avssl.data.decode.image import EXTENSIONS as PICTURES
from avssl.data.decode.image import read_image
from avssl.data.decode.media import DecodeError
from avssl.data.decode.timeline import frame_times
from avssl.data.manifest import UNREADABLE, label_of
from avssl.data.scanning.content import mark_duplicates
from avssl.data.scanning.folder import media_files
from avssl.data.scanning.isolated import Failed, isolated
from avssl.data.shots import SCHEMA, Shots, mark_repeated, read_table
from avssl.types import UserError

NO_FRAME = "no_frame"
OnFile = Callable[[int, int], None]


class FileFacts(NamedTuple):
    """`times_s`: of a video's frames, on its own clock, on which its earliest stream starts at `origin_s`."""

    size_bytes: int
    status: str
    detail: str
    times_s: Float64[np.ndarray, " n"] | None = None
    origin_s: float = 0.0


def is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix[1:].lower() in PICTURES


def look(root: Path, relative_path: str) -> FileFacts:
    """The facts of one file; its status is "ok" where it can be decoded, else "unreadable"."""
    path = root / relative_path
    try:
        size = path.stat().st_size if path.exists() else 0
        if is_picture(relative_path):
            read_image(path)
            return FileFacts(size, "ok", "")
        return FileFacts(size, "ok", "", *frame_times(path))
    except DecodeError as error:
        return FileFacts(size, UNREADABLE, error.reason)


def look_at_all(
    root: Path, paths: Iterable[str], workers: int = 0, on_file: OnFile | None = None
) -> dict[str, FileFacts]:
    """`look` at each path, which no file can stop (`isolated`); `on_file(done, total)` is called after each."""
    paths, facts = sorted(set(paths)), dict[str, FileFacts]()
    for path, found in isolated(partial(look, root), paths, workers=workers):
        facts[path] = FileFacts(0, found.status, found.detail) if isinstance(found, Failed) else found
        if on_file:
            on_file(len(facts), len(paths))
    return {path: facts[path] for path in paths}


def files_below(root: Path, extensions: Collection[str]) -> list[str]:
    """Sorted posix paths relative to the root. Raises UserError for a folder without such files."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    paths = sorted(media_files(root, extensions))
    if not paths:
        raise UserError(f"{root}: none of the files in it can be used; extensions: {', '.join(sorted(extensions))}")
    return paths


def row_of(path: str, facts: FileFacts, instance: str, camera: str, label: str, **more: Any) -> dict[str, Any]:
    """A row of `shots.SCHEMA`."""
    known = {"size_bytes": facts.size_bytes, "status": facts.status, "detail": facts.detail}
    return {"instance": instance, "camera": camera, "path": path, "time": 0.0, "label": label, **known, **more}


def scan_pictures(root: Path, manifest: Path | None = None, workers: int = 0, on_file: OnFile | None = None) -> Shots:
    """Each picture of a folder, or of a manifest, an instance; of equal files the first is kept.

    The label is the manifest's or else the name of the folder that holds the file.
    """
    table = None if manifest is None else read_table(manifest, ("path",))
    if table is not None and table.column_names == SCHEMA.names:
        return Shots(root, table)
    listed = [{"path": path} for path in files_below(root, PICTURES)] if table is None else table.to_pylist()
    labels = {row["path"]: row.get("label", label_of(row["path"])) for row in listed}
    facts = look_at_all(root, labels, workers, on_file)
    rows = [row_of(path, found, path, "", labels[path]) for path, found in facts.items()]
    mark_duplicates(root, rows)
    return Shots.of(root, rows)


def scan_instances(root: Path, workers: int = 0, on_file: OnFile | None = None) -> Shots:
    """Pictures by instance and camera, FOLDER/INSTANCE/CAMERA.png; the label is the instance's name."""
    facts = look_at_all(root, files_below(root, PICTURES), workers, on_file)
    rows = []
    for path, found in facts.items():
        instance = PurePosixPath(path).parent.as_posix()
        rows.append(row_of(path, found, instance, PurePosixPath(path).stem, instance))
    mark_repeated(rows)
    return Shots.of(root, rows)


def scan_listed(
    root: Path, manifest: Path, tolerance_s: float | int, workers: int = 0, on_file: OnFile | None = None
) -> Shots:
    """The shots of a manifest; of a video the frame nearest to `time`, within `tolerance_s`.

    A user's has the columns `shots.NEEDED`, and its files are looked at; one that a scan wrote is taken at its word.
    The label is the manifest's or else the instance's name.
    """
    table = read_table(manifest)
    if table.column_names == SCHEMA.names:
        return Shots(root, table)
    listed = table.to_pylist()
    facts, rows = look_at_all(root, (row["path"] for row in listed), workers, on_file), []
    for row in listed:
        found, time_s = facts[row["path"]], row.get("time") or 0.0
        names = row["instance"], row["camera"], row.get("label") or row["instance"]
        made = row_of(row["path"], found, *names, time=time_s)
        if found.times_s is not None:
            frame = int(nearest(found.times_s, np.array([time_s]))[0])
            made["at_s"] = float(found.times_s[frame]) - found.origin_s
            if abs(found.times_s[frame] - time_s) > tolerance_s:
                made |= {"status": NO_FRAME, "detail": f"no frame within {tolerance_s:g} s of {time_s:g} s"}
        rows.append(made)
    mark_repeated(rows)
    return Shots.of(root, rows)


def nearest(times: Float64[np.ndarray, " n"], wanted: Float64[np.ndarray, " m"]) -> np.ndarray:
    """For each wanted time the number of the nearest of the ascending times, the earlier of two."""
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after)
