"""A data set's official lists, held against a local copy: which file is which clip, and which clips are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa

from avssl.data.listing import Listed
from avssl.data.manifest import Manifest
from avssl.data.scan import media_files, scan
from avssl.types import UserError

__all__ = ["Clip", "UserError", "locate", "merged", "official_manifest"]
SOUND = {"aac", "aif", "aiff", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma"}


class Clip(NamedTuple):
    """A clip of a data set's lists.

    names: what its file may be called, without extension, the official name first; "a/b" is b in a folder a.
    place: where the official layout has it; a missing clip is listed under this path.
    labels: the first is the manifest's. more: values of further columns, the same ones for each clip.
    """

    names: tuple[str, ...]
    place: str
    labels: tuple[str, ...]
    split: str = ""
    more: Mapping[str, Any] = MappingProxyType({})


def merged(clips: Iterable[Clip]) -> list[Clip]:
    """One clip of all entries with the same official name: with the labels of each, in a split that is not trained on.

    A file has one row in a manifest, though AVE, say, lists some videos once for each of their events.
    """
    found: dict[str, Clip] = {}
    for clip in clips:
        first = found.setdefault(clip.names[0], clip)
        labels = tuple(dict.fromkeys((*first.labels, *clip.labels)))
        split = clip.split if "train" in first.split else first.split
        found[clip.names[0]] = first._replace(labels=labels, split=split)
    return list(found.values())


def locate(root: Path, clips: Sequence[Clip], with_picture: bool = True) -> tuple[dict[str, Clip], int]:
    """Each clip by the path of its file or, where it is missing, by its place; and how many files are in no list.

    A file goes to one clip: first to those it has the official name of, then to those of the next name, and so on. Of
    several files of that name it is one with a picture (or, where none is asked for, a sound file), then one in a
    folder named as the split.
    """
    by_stem = defaultdict[str, list[str]](list)
    for path in media_files(root):
        if path.encode(errors="ignore").decode() == path:  # no list has a name that is not UTF-8
            by_stem[PurePosixPath(path).stem].append(path)
    files, found = sum(map(len, by_stem.values())), dict[str, Clip]()
    waiting, turn = list(clips), 0
    while any(turn < len(clip.names) for clip in waiting):
        left = []
        for clip in waiting:
            path = _best(clip, turn, by_stem, with_picture)
            if path is None:
                left.append(clip)
            else:
                found[path] = clip
                by_stem[PurePosixPath(path).stem].remove(path)
        waiting, turn = left, turn + 1
    others = files - len(found)
    return found | {clip.place: clip for clip in waiting}, others


def _best(clip: Clip, turn: int, by_stem: Mapping[str, list[str]], with_picture: bool) -> str | None:
    """The file to take for a clip's name number `turn`."""
    if turn >= len(clip.names):
        return None
    name = clip.names[turn]
    fitting = [
        path for path in by_stem.get(name.rpartition("/")[2], ()) if f"/{path}".rpartition(".")[0].endswith(f"/{name}")
    ]

    def order(path: str) -> tuple[bool, bool, str]:
        parts = PurePosixPath(path)
        return (parts.suffix[1:].lower() in SOUND) == with_picture, clip.split not in parts.parts, path

    return min(fitting, key=order, default=None)


def official_manifest(
    root: Path,
    clips: Sequence[Clip],
    *,
    require: Sequence[str],
    workers: int = 0,
    on_file: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, int]:
    """A row for each clip, those without a file with the status "missing"; and how many files are in no list.

    Columns after the manifest's: `labels`, joined by ";", where a clip has several, and those of `Clip.more`.
    UserError: no such folder.
    """
    found, others = locate(root, clips, with_picture="video" in require)
    listing = {path: Listed(clip.labels[0] if clip.labels else "", clip.split) for path, clip in found.items()}
    manifest = scan(root, require=require, listing=listing, workers=workers, on_file=on_file)
    rows = [found[path] for path in manifest.paths]
    columns: dict[str, list[Any]] = {name: [clip.more[name] for clip in rows] for name in rows[0].more}
    if any(len(clip.labels) > 1 for clip in rows):
        columns = {"labels": [";".join(clip.labels) for clip in rows], **columns}
    table = manifest.table
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return Manifest(manifest.root, table), others
