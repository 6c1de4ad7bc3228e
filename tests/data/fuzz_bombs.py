"""Small files that claim, or hold, far more than anybody should make room for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from fuzz_boxes import boxes, find, replace

YEARS = 2**31 - 1
"""A duration: 68 years of seconds."""


def write_bombs(folder: Path, originals: Path) -> list[Path]:
    """Media bombs made from the files of `fuzz_media.write_originals`."""
    folder.mkdir(parents=True, exist_ok=True)
    clip, mkv = (originals / "clip.mp4").read_bytes(), (originals / "remuxed.mkv").read_bytes()
    avi, gif = (originals / "pictures.avi").read_bytes(), (originals / "pictures.gif").read_bytes()
    wav, flac = (originals / "sound.wav").read_bytes(), (originals / "sound.flac").read_bytes()
    made: dict[str, bytes] = {}
    for side in (16_000, 100_000):  # what FFmpeg would make room for, 400 MB a picture, and what it would not
        made[f"h264 of {side}.mp4"] = h264_in_mp4(clip, side)
        made[f"h264 stream of {side}.mp4"] = b"\0\0\0\1".join((b"", sps(side), PPS, SLICE, PPS, SLICE))
    for side in (16_000, 65_535):
        made[f"screen of {side}.gif"] = gif[:6] + struct.pack("<HH", side, side) + gif[10:]
        made[f"mjpeg of {side}.avi"] = with_sof(avi, side)
    made["declared picture.mp4"] = with_fields(clip, (b"avc1", 32, ">HH", (65_535, 65_535)))
    made["years.mp4"] = with_fields(clip, *[(kind, at, ">I", (YEARS,)) for kind, at in DURATIONS])
    made["a billion samples.mp4"] = bytes(replace(bytearray(clip), b"stsz", struct.pack(">III", 0, 1, 10**9)))
    made["a billion sizes.mp4"] = with_fields(clip, (b"stsz", 16, ">I", (10**9,)))
    made["many samples.mp4"] = many_samples(clip.replace(b"ctts", b"free").replace(b"edts", b"free"), 20_000_000)
    made["long chunk.mp4"] = with_fields(clip, (b"stsc", 20, ">I", (10**9,)))
    made["long times.mp4"] = with_fields(clip, (b"stts", 16, ">II", (10**9, 10**9)))
    made["packed header.mp4"] = packed_header(clip, 300)
    made["packed swf.mp4"] = b"CWS\x0a" + struct.pack("<I", 2**31) + zeros(64)
    for rate in (0, 1, 10**9, 2**31 - 1, 2**32 - 1):
        made[f"rate {rate}.wav"] = wav[:24] + struct.pack("<II", rate, (2 * rate) % 2**32) + wav[32:]
    for size in (0, 2**31, 2**32 - 1):
        made[f"data of {size}.wav"] = wav[:4] + struct.pack("<I", size) + wav[8:40] + struct.pack("<I", size) + wav[44:]
    made["channels.wav"] = wav[:22] + struct.pack("<H", 65_535) + wav[24:32] + struct.pack("<H", 65_534) + wav[34:]
    made["samples.flac"] = flac[:21] + bytes([flac[21] | 15]) + b"\xff" * 4 + flac[26:]
    for name, element in (("samples", b"\xb5"), ("duration", b"\x44\x89")):
        for value in (1e-300, 1e9, 1e300, float("inf"), float("nan"), -1.0):
            made[f"{name} {value}.mkv"] = with_double(mkv, element, value)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return sorted(folder / name for name in made)


def write_picture_bombs(folder: Path, pictures: Path) -> list[Path]:
    """Pictures made from those of `fuzz_media.write_pictures`: too large to be decoded, and one that could be."""
    folder.mkdir(parents=True, exist_ok=True)
    png, jpeg, webp = ((pictures / name).read_bytes() for name in ("a.png", "b.jpg", "c.webp"))
    made = {
        "declared.png": png[:8] + chunk(b"IHDR", struct.pack(">II", 100_000, 100_000) + png[24:29]) + png[33:],
        "bomb.png": png_bomb(30_000),
        "declared.jpg": with_sof(jpeg, 65_500),
        "declared.webp": webp[:26] + struct.pack("<HH", 16_383, 16_383) + webp[30:],
        "lossless.webp": webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(40)),
        "canvas.webp": webp_chunk(b"VP8X", bytes(4) + b"\xff\xff\xff" * 2) + webp[12:],
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return sorted(folder / name for name in made)


DURATIONS = ((b"mvhd", 24), (b"tkhd", 28), (b"mdhd", 24))


def with_fields(data: bytes, *fields: tuple[bytes, int, str, tuple[int, ...]]) -> bytes:
    """Numbers set at a place of all boxes of a kind."""
    changed = bytearray(data)
    for kind, at, numbers, values in fields:
        for box in boxes(data):
            if box.kind == kind:
                struct.pack_into(numbers, changed, box.start + at, *values)
    return bytes(changed)


def many_samples(data: bytes, count: int) -> bytes:
    """An index that would take gigabytes: one chunk of so many samples of one byte."""
    sized = replace(bytearray(data), b"stsz", struct.pack(">III", 0, 1, count))
    timed = replace(sized, b"stts", struct.pack(">IIII", 0, 1, count, 1))
    return bytes(replace(timed, b"stsc", struct.pack(">IIIII", 0, 1, 1, count, 1)))


def packed_header(data: bytes, megabytes: int) -> bytes:
    """The header of an mp4, packed, with megabytes of nothing in it."""
    size = megabytes << 20
    free = struct.pack(">I4s", size, b"free")
    inner = struct.pack(">I4s", size + 8, b"moov") + free
    packed = zeros(megabytes, inner)
    moov = find(data, b"moov")
    cmov = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", size + 8) + packed))
    return data[: moov.start] + box(b"moov", cmov)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def zeros(megabytes: int, head: bytes = b"") -> bytes:
    """A zlib stream of so many MB, in about 1 kB for each."""
    packer = zlib.compressobj(9)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    first = zlib.adler32(head)
    low, high = first & 0xFFFF, first >> 16
    high = (high + low * (megabytes << 20)) % 65_521  # of n zeros after the head
    return start + block * megabytes + end + struct.pack(">I", high << 16 | low)


def with_double(data: bytes, element: bytes, value: float) -> bytes:
    """An element of Matroska that holds eight bytes of floating point."""
    at = data.index(element + b"\x88") + len(element) + 1
    return data[:at] + struct.pack(">d", value) + data[at + 8 :]


def with_sof(data: bytes, side: int) -> bytes:
    """Every JPEG's height and width."""
    changed, at = bytearray(data), data.find(b"\xff\xc0\0\x11\x08")
    while at >= 0:
        struct.pack_into(">HH", changed, at + 5, side, side)
        at = data.find(b"\xff\xc0\0\x11\x08", at + 1)
    return bytes(changed)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(side: int) -> bytes:
    """A PNG as it should be, black: a kB for each MB of its lines, 24 MB of pixels."""
    megabytes = -(-(side * (side // 8 + 1)) // 2**20)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zeros(megabytes)) + chunk(b"IEND", b"")


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    inner = b"WEBP" + kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def h264_in_mp4(data: bytes, side: int) -> bytes:
    """The clip with the parameters of pictures that are so large."""
    parameters = sps(side)
    lengths = struct.pack(">BH", 0xE1, len(parameters)), struct.pack(">BH", 1, len(PPS))
    content = b"\1" + parameters[1:4] + b"\xff" + lengths[0] + parameters + lengths[1] + PPS
    return bytes(replace(bytearray(data), b"avcC", content))


def bits(*codes: int | str) -> bytes:
    """Exp-Golomb codes of numbers, bits as text, the stop bit, and bytes of three that are told from a start code."""
    text = "".join(
        code if isinstance(code, str) else f"{code + 1:0{2 * (code + 1).bit_length() - 1}b}" for code in codes
    )
    text += "1"
    content = int(text, 2) << -len(text) % 8
    return content.to_bytes(-(-len(text) // 8), "big").replace(b"\0\0\0", b"\0\0\3\0").replace(b"\0\0\1", b"\0\0\3\1")


def sps(side: int) -> bytes:
    """A sequence of h264 pictures of side x side: baseline, no cropping."""
    return b"\x67\x42\xc0\x3e" + bits(0, 0, 2, 1, "0", side // 16 - 1, side // 16 - 1, "1", "1", "0", "0")


PPS = b"\x68" + bits(0, 0, "0", "0", 0, 0, 0, "0", "00", 0, 0, 0, "0", "0", "0")
SLICE = b"\x65" + bits(0, 7, 0, "0000", 0, "0", "0", 0, 25, "0000000")
"""A first picture, of which little is there."""
