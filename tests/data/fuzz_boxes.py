"""Mutations of mp4 files that know their boxes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

PARENTS = dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"moof", b"traf"), 8)
PARENTS |= {b"stsd": 16, b"avc1": 86}
"""Boxes of boxes, and where the first of those begins."""
COUNTED = {b"stsz": 8, b"stts": 4, b"stsc": 4, b"stco": 4, b"co64": 4, b"stss": 4, b"ctts": 4, b"elst": 4, b"stsd": 4}
"""Where the number of entries lies in the body of a box."""
SIZED = {b"tkhd": (76, 80), b"mvhd": (12, 16), b"mdhd": (12, 16), b"stsz": (4,)}
"""Where other numbers of 4 bytes lie: width and height, time scale and duration, a size that all samples share."""
HUGE = (0, 1, 10**9, 2**31 - 1, 2**31, 2**32 - 1)


class Box(NamedTuple):
    """Bytes [start, end) of a file are a box of this type."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """All boxes in their order, each before those within it; stops where the tree is broken."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            return
        yield Box(kind, start, start + size)
        if kind in PARENTS:
            yield from boxes(data, start + PARENTS[kind], start + size)
        start += size


def find(data: bytes | bytearray, kind: bytes) -> Box:
    return next(box for box in boxes(data) if box.kind == kind)


def replace(data: bytearray, kind: bytes, content: bytes) -> bytearray:
    """Give the first box of a kind other content; the sizes of those around it follow, offsets do not."""
    box = find(data, kind)
    grown = len(content) + 8 - (box.end - box.start)
    for around in [other for other in boxes(data) if other.start < box.start and box.end <= other.end]:
        struct.pack_into(">I", data, around.start, around.end - around.start + grown)
    data[box.start : box.end] = struct.pack(">I4s", len(content) + 8, kind) + content
    return data


def _one(data: bytearray, draw: random.Random, kinds: Sequence[bytes] = ()) -> Box | None:
    found = [box for box in boxes(data) if not kinds or box.kind in kinds]
    return draw.choice(found) if found else None


def lose_box(data: bytearray, draw: random.Random) -> bytearray:
    if box := _one(data, draw):
        del data[box.start : box.end]
    return data


def double_box(data: bytearray, draw: random.Random) -> bytearray:
    if box := _one(data, draw):
        data[box.end : box.end] = data[box.start : box.end]
    return data


def swap_boxes(data: bytearray, draw: random.Random) -> bytearray:
    """Two boxes of one level, or one within the other's place."""
    if (a := _one(data, draw)) and (b := _one(data, draw)) and a.end <= b.start:
        between = data[a.end : b.start]
        data[a.start : b.end] = data[b.start : b.end] + between + data[a.start : a.end]
    return data


def nest_box(data: bytearray, draw: random.Random) -> bytearray:
    """A box within copies of itself, 50 deep."""
    if box := _one(data, draw, sorted(PARENTS)):
        inner = bytes(data[box.start : box.end])
        for _ in range(50):
            inner = struct.pack(">I4s", len(inner) + 8, box.kind) + inner
        data[box.start : box.end] = inner
    return data


def lie_about_size(data: bytearray, draw: random.Random) -> bytearray:
    if box := _one(data, draw):
        struct.pack_into(">I", data, box.start, draw.choice((0, 1, 7, 8, 9, 2**31, 2**32 - 1, draw.randrange(2**16))))
    return data


def lie_about_count(data: bytearray, draw: random.Random) -> bytearray:
    if box := _one(data, draw, sorted(COUNTED)):
        struct.pack_into(">I", data, box.start + 8 + COUNTED[box.kind], draw.choice(HUGE))
    return data


def huge_fact(data: bytearray, draw: random.Random) -> bytearray:
    if box := _one(data, draw, sorted(SIZED)):
        struct.pack_into(">I", data, box.start + 8 + draw.choice(SIZED[box.kind]), draw.choice(HUGE))
    return data


def rename_box(data: bytearray, draw: random.Random) -> bytearray:
    if (box := _one(data, draw)) and (other := _one(data, draw)):
        data[box.start + 4 : box.start + 8] = other.kind
    return data


BOX_MUTATIONS: Sequence[Callable[[bytearray, random.Random], bytearray]] = (
    *(lose_box, double_box, swap_boxes, nest_box, lie_about_size, lie_about_count, huge_fact, rename_box),
)
