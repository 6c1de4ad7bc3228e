"""What an earlier run has packed: kept where it is whole and of the same sources, removed where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from avssl.data.pack.hashing import file_hash, range_hash
from avssl.data.pack.media import Item
from avssl.data.pack.memmap import FOLDER as MEMMAP_FOLDER
from avssl.data.pack.memmap import FRAMES, SOUND
from avssl.data.pack.names import inside
from avssl.data.pack.plan import owns_id, owns_part, up_to_date
from avssl.data.pack.records import DECODE_ERROR, read_records, write_record
from avssl.data.pack.settings import MP4, SHARDS, Settings
from avssl.data.pack.shards import FOLDER as SHARDS_FOLDER


class Kept(NamedTuple):
    """Ids that need no packing, and the names of the records that tell of them."""

    ids: set[str]
    names: list[str]


def keep(
    out: Path,
    root: Path,
    items: Sequence[Item],
    settings: Settings,
    shard: tuple[int, int],
    *,
    verify: bool,
    retry_errors: bool,
) -> Kept:
    """Read the records; drop those of which something is gone, or is of a source that has changed or left.

    shard (i, n): what is another node's to drop is left to it, but taken as dropped. verify: read all media and compare
    checksums. retry_errors: those that could not be decoded are to be packed.
    """
    wanted = {item.id: item for item in items}
    ids, names = set[str](), list[str]()
    for file, table in read_records(out):
        rows = table.to_pylist()
        good = [row for row in rows if row["status"] == "ok"]
        stale = [row for row in good if not up_to_date(row, wanted.get(row["id"]), root)]
        bad = damaged(out, good, settings, verify)
        if stale or bad:
            mine = owns_part(file.stem, *shard)
            gone = media_of(stale, settings) | set(bad) if settings.format == MP4 else media_of(good, settings)
            if mine:
                file.unlink(missing_ok=True)
            for name in _removable(gone, good, settings, shard, mine):
                inside(out, name).unlink(missing_ok=True)
            if settings.format != MP4:
                continue
            good, rows = ([row for row in some if row["path"] not in gone] for some in (good, rows))
            if mine:
                write_record(out, file.stem, rows)
        failed = [row for row in rows if row["status"] == DECODE_ERROR and not retry_errors]
        ids |= {row["id"] for row in good}
        ids |= {row["id"] for row in failed if up_to_date(row, wanted.get(row["id"]), root)}
        names.append(file.stem)
    return Kept(ids, names)


def _removable(
    gone: set[str], rows: Sequence[Mapping[str, Any]], settings: Settings, shard: tuple[int, int], mine: bool
) -> set[str]:
    """Which files this node removes: the part's, or of mp4 those of its own instances, which it packs anew."""
    if settings.format != MP4:
        return gone if mine else set()
    return {row["path"] for row in rows if row["path"] in gone and owns_id(row["id"], *shard)}


def media_of(rows: Sequence[Mapping[str, Any]], settings: Settings) -> set[str]:
    """The files that hold what the rows tell of."""
    if settings.format == MP4:
        return {row["path"] for row in rows}
    suffixes = ("",) if settings.format == SHARDS else (FRAMES, SOUND)
    return {row["shard"] + suffix for row in rows for suffix in suffixes}


def damaged(out: Path, rows: Sequence[Mapping[str, Any]], settings: Settings, thorough: bool) -> list[str]:
    """Of good rows the files that are gone or too short or, `thorough`, have not the checksum that they had."""
    bad = set[str]()
    for row in rows:
        ranges = ranges_of(out, row, settings)
        short = {file for file, _, stop in ranges if not file.is_file() or file.stat().st_size < stop}
        if not short and thorough and _hash(ranges, settings) != row["content_hash"]:
            short = {ranges[0][0]}
        bad |= {str(file.relative_to(out)) for file in short}
    return sorted(bad)


def ranges_of(out: Path, row: Mapping[str, Any], settings: Settings) -> list[tuple[Path, int, int]]:
    """File, first byte and end of what a row's instance takes."""
    if settings.format == MP4:
        return [(inside(out, row["path"]), 0, row["size_bytes"])]
    if settings.format == SHARDS:
        return [(inside(out, row["shard"]), row["offset"], row["offset"] + row["size_bytes"])]
    first, sound = row["frames_offset"], row["sound_offset"]
    stop = first + row["frames"] * 3 * row["height"] * row["width"]
    return [
        (inside(out, row["shard"] + FRAMES), first, stop),
        (inside(out, row["shard"] + SOUND), sound, sound + 2 * row["samples"]),
    ]


def _hash(ranges: Sequence[tuple[Path, int, int]], settings: Settings) -> str:
    if settings.format == MP4:
        return file_hash(ranges[0][0])
    return "".join(range_hash(one) for one in ranges)


def sweep(out: Path, settings: Settings, prefix: str) -> None:
    """Remove what a killed run left in the folder of shards, or arrays: files of this prefix without a record."""
    if settings.format == MP4:
        return
    told = {name for _, table in read_records(out) for name in media_of(_good(table.to_pylist()), settings)}
    folder = SHARDS_FOLDER if settings.format == SHARDS else MEMMAP_FOLDER
    for file in (out / folder).glob("*"):
        mine = file.name.removeprefix(".").startswith(prefix)
        if mine and f"{folder}/{file.name}" not in told:
            file.unlink()


def _good(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["status"] == "ok"]
