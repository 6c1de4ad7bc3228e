"""Which instances are packed, which of them are packed already, and in what parts the rest is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from avssl.data.manifest import Manifest
from avssl.data.pack.media import Item
from avssl.data.pack.part import Part
from avssl.data.pack.settings import MP4, SHARDS, Settings
from avssl.data.paths import check_below
from avssl.functional.checks import check
from avssl.functional.seeding import seed_for

ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
FILES_OF_MP4 = 32
BYTES_OF_PIXEL = 0.25
"""Of a JPEG of quality 90, about; what is larger than planned goes on in a further shard."""


def items_of(files: Manifest, settings: Settings) -> list[Item]:
    """The instances of usable files. Raises UserError for paths and ids that cannot be names in the pack."""
    names = [name for name in Item._fields if name != "packed_path"]
    rows = files.table.select(names).to_pylist()
    check_below(files.root, files.paths)
    for row in rows:
        check("id", row["id"], ID.fullmatch(row["id"] or "") is not None, "1 to 80 of A-Z, a-z, 0-9, _ and -")
    repeated = [name for name, count in Counter(files.ids).items() if count > 1]
    check("id", ", ".join(repeated[:3]), not repeated, "each once in the manifest")
    packed = mp4_names(files.paths) if settings.format == MP4 else {path: path for path in files.paths}
    return [
        Item(**{**row, "content_hash": row["content_hash"] or "", "packed_path": packed[row["path"]]}) for row in rows
    ]


def mp4_names(paths: Sequence[str]) -> dict[str, str]:
    """The path of each file in the pack: its own, ending in .mp4; its whole name stays where others would share it."""
    short = {path: PurePosixPath(path).with_suffix(".mp4").as_posix() for path in paths}
    shared = Counter(short.values())
    names = {path: name if shared[name] == 1 or path == name else f"{path}.mp4" for path, name in short.items()}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    check("path", ", ".join(twice[:3]), not twice, "names that differ in more than their suffix")
    return names


def owned(items: Sequence[Item], node: int, nodes: int) -> list[Item]:
    """The node's share, in the pack's order: by a hash of the id, which mixes labels and never changes."""
    order = sorted((seed_for("pack", item.id), item) for item in items)
    return [item for _, item in order if owns_id(item.id, node, nodes)]


def prefix_of(node: int, nodes: int) -> str:
    """How the names of a node's parts begin."""
    return "part-" if nodes == 1 else f"part-{node}-of-{nodes}-"


def owns_part(name: str, node: int, nodes: int) -> bool:
    """Whether a part is the node's: by its name, or by a hash of that where the pack was shared otherwise then."""
    told = re.match(r"part-(\d+)-of-(\d+)-", name)
    if told and int(told[2]) == nodes:
        return int(told[1]) == node
    return seed_for("pack", name) % nodes == node


def owns_id(name: str, node: int, nodes: int) -> bool:
    """Whether the instance is in the node's share."""
    return seed_for("pack", name) % nodes == node


def parts(items: Sequence[Item], settings: Settings, prefix: str, taken: Sequence[str]) -> Iterator[Part]:
    """Cut the items into parts of the size that the format wants, named by the prefix and the next free number."""
    numbers = [int(name.removeprefix(prefix)) for name in taken if re.fullmatch(f"{prefix}[0-9]+", name)]
    number, part, size = max(numbers, default=-1) + 1, list[Item](), 0.0
    for item in items:
        more = expected_size(item, settings)
        if part and size + more > 1:
            yield Part(f"{prefix}{number:06d}", tuple(part))
            number, part, size = number + 1, [], 0.0
        part.append(item)
        size += more
    if part:
        yield Part(f"{prefix}{number:06d}", tuple(part))


def expected_size(item: Item, settings: Settings) -> float:
    """What share of a part the item takes, about."""
    if settings.format == MP4:
        return 1 / FILES_OF_MP4
    pixels = settings.size**2 * 16 / 9 * item.frames(settings.fps) * item.has_video
    sound = 2 * item.samples(settings.rate_hz) * item.has_audio
    return (pixels * (BYTES_OF_PIXEL if settings.format == SHARDS else 3) + sound) / (settings.shard_mb * 1e6)


def up_to_date(record: Mapping[str, Any], item: Item | None, root: Path) -> bool:
    """Whether a record's row is of the source as it is now: by the manifest's hash, or else by size and time.

    What failed goes by size and time: it may have been another file than the manifest's.
    """
    if item is None or record["path"] != item.packed_path:
        return False
    if (record["start_s"], record["duration_s"]) != (item.start_s, item.duration_s) and record["status"] == "ok":
        return False
    if item.content_hash and record["status"] == "ok":
        return record["source_hash"] == item.content_hash
    try:
        status = (root / item.path).stat()
    except OSError:
        return False
    return (record["source_size_bytes"], record["source_mtime_ns"]) == (status.st_size, status.st_mtime_ns)
