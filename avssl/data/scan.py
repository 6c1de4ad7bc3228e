"""From a folder to its manifest: every media file is opened once, and none of them can stop the scan."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from avssl.data.decode.media import DecodeError
from avssl.data.decode.probe import MediaInfo, probe
from avssl.data.listing import Listed
from avssl.data.manifest import DUPLICATE, MISSING, UNREADABLE, Manifest, instance_id, label_of, status_of
from avssl.data.workers import worker_context
from avssl.types import UserError

EXTENSIONS = {
    *("3g2", "3gp", "asf", "avi", "f4v", "flv", "gif", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
    *("mxf", "ogv", "ts", "vob", "webm", "wmv", "aac", "ac3", "aif", "aiff", "amr", "au", "caf", "flac", "m4a", "mka"),
    *("mp2", "mp3", "oga", "ogg", "opus", "wav", "wma", "wv"),
}
T = TypeVar("T")
NOTHING = MediaInfo(False, False, 0.0, 0.0, 0, 0, 0, 0.0, "", "", 0, 0)


def scan(
    root: Path | str,
    *,
    require: Sequence[str] = ("video", "audio"),
    min_duration_s: float | int = 0.5,
    listing: Mapping[str, Listed] | None = None,
    workers: int = 0,
    on_file: Callable[[int, int], None] | None = None,
) -> Manifest:
    """List the media files below a folder, each with its facts and its status for these requirements.

    With a `listing` its files and no others, whatever their extension; one that is not there has the status "missing".
    `on_file(done, total)` is called after each file. Raises UserError for a folder without media files.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    paths = sorted(media_files(root) if listing is None else listing)
    if not paths:
        raise UserError(f"{root}: no media files in it; known extensions: {', '.join(sorted(EXTENSIONS))}")
    rows = []
    for row in map_files(partial(describe, root), paths, workers):
        rows.append(row)
        if on_file:
            on_file(len(rows), len(paths))
    mark_duplicates(root, rows)
    for row in rows:
        if listing is not None:
            row.update(listing[row["path"]]._asdict())
        row["status"] = status_of(row, require, min_duration_s)
    return Manifest.of(root, rows)


def media_files(root: Path, extensions: Collection[str] = EXTENSIONS) -> Iterator[str]:
    """Posix paths, relative to the root, of the files with one of the extensions; hidden ones are left out.

    Links to folders are followed, but no folder is entered twice.
    """
    entered: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in entered:
            subfolders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            media = path.suffix[1:].lower() in extensions and not name.startswith(".")
            if media and (path.is_file() or path.is_symlink()):  # neither pipes nor sockets
                yield path.relative_to(root).as_posix()


def describe(root: Path, relative_path: str) -> dict[str, Any]:
    """The row of one file, with the status "ok" where it can be opened and decoded, else "unreadable"."""
    path, info, status, detail = root / relative_path, NOTHING, UNREADABLE, ""
    try:
        relative_path.encode()
    except UnicodeEncodeError:
        relative_path = os.fsencode(relative_path).decode(errors="backslashreplace")
        detail = "the file's name is not UTF-8"
    else:
        try:
            if not path.exists() and not path.is_symlink():
                status = MISSING
            else:
                info, status = probe(path), "ok"
        except DecodeError as error:
            detail = error.reason
    return {
        "id": instance_id(relative_path),
        "path": relative_path,
        "label": label_of(relative_path),
        "split": "",
        "size_bytes": path.stat().st_size if path.exists() else 0,
        **asdict(info),
        "status": status,
        "detail": detail,
    }


def map_files(function: Callable[[str], T], paths: Sequence[str], workers: int) -> Iterator[T]:
    """What the function gives for each path, in order, from `workers` processes or, with 0, from this one."""
    if workers == 0:
        yield from map(function, paths)
        return
    with ProcessPoolExecutor(workers, worker_context()) as pool:
        yield from pool.map(function, paths, chunksize=8)


def mark_duplicates(root: Path, rows: list[dict[str, Any]]) -> None:
    """Of files with the same content keep the first by path; only files of the same size are read."""
    by_size = defaultdict(list)
    for row in rows:
        if row["status"] == "ok":
            by_size[row["size_bytes"]].append(row)
    for same_size in by_size.values():
        kept: dict[bytes, str] = {}
        for row in same_size if len(same_size) > 1 else ():
            try:
                with (root / row["path"]).open("rb") as file:
                    content = hashlib.file_digest(file, "blake2b").digest()
            except OSError as error:
                row.update(status=UNREADABLE, detail=error.strerror)
                continue
            first = kept.setdefault(content, row["path"])
            if first != row["path"]:
                row.update(status=DUPLICATE, detail=first)
