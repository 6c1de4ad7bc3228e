"""Small real media files and pictures, and mutants of them: what a folder of wild files may hold."""

from __future__ import annotations

import random
import shutil
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from fuzz_boxes import BOX_MUTATIONS
from torchvision.io import write_jpeg, write_png

from avssl.data.encode import write_clip

SHARED = [
    *("odd_media/-video-with-dash-.mp4", "odd_media/sine_mono_mp3.swf", "odd_media/video_270.mov"),
    *("odd_media/nasa_13013_rotated.mp4", "odd_media/av1_video.mkv", "odd_media/h265_video.mp4"),
    *("fsdd/recordings/1_theo_0.wav", "esc10/001 - Dog bark/1-100032-A.ogg"),
]
"""Small real files of ../shared/data."""
REMUXED = {"mkv": "matroska", "ts": "mpegts", "flv": "flv", "mov": "mov"}
ENCODED = {"gif": ("gif", "rgb8"), "avi": ("mjpeg", "yuvj420p"), "mpg": ("mpeg1video", "yuv420p")}
SOUNDS = {"ogg": "libopus", "flac": "flac", "mp3": "libmp3lame"}
Mutation = Callable[[bytearray, random.Random], bytearray]


def write_originals(folder: Path, shared: Path | None = None) -> list[Path]:
    """Media of 12 kinds, none above a few kB, and copies of the small ones of `shared`."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (15, 32, 48, 3), np.uint8) // 4
    tone = (0.3 * np.sin(np.arange(4800) / 5)).astype(np.float32)
    write_clip(folder / "clip.mp4", pixels, 25, tone, 8000, crf=40, gop=5)
    for extension, name in REMUXED.items():
        _remux(folder / "clip.mp4", folder / f"remuxed.{extension}", name)
    for extension, (codec, pixel_format) in ENCODED.items():
        _encode_pictures(folder / f"pictures.{extension}", codec, pixel_format, pixels)
    for extension, codec in SOUNDS.items():
        _encode_sound(folder / f"sound.{extension}", codec, tone)
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes((tone * 32_767).astype("<i2").tobytes())
    for name in SHARED if shared else ():
        shutil.copyfile(shared / "data" / name, folder / Path(name).name.replace(".swf", " swf.flv"))
    return sorted(folder.iterdir())


def write_pictures(folder: Path) -> list[Path]:
    """A PNG, a JPEG and a WebP."""
    folder.mkdir(parents=True)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 20, 30), np.uint8))
    write_png(pixels, str(folder / "a.png"))
    write_jpeg(pixels, str(folder / "b.jpg"))
    with av.open(folder / "c.webp", "w", format="webp") as container:
        stream = container.add_stream("libwebp", rate=1)
        stream.width, stream.height, stream.pix_fmt = 30, 20, "yuv420p"
        frame = av.VideoFrame.from_ndarray(pixels.permute(1, 2, 0).numpy().copy(), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return sorted(folder.iterdir())


def write_mutants(folder: Path, originals: Sequence[Path], count: int, seed: int) -> list[Path]:
    """`count` files, each an original with one to three mutations; the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    draw, written = random.Random(seed), []
    for number in range(count):
        original = originals[number % len(originals)]
        data, names = bytearray(original.read_bytes()), []
        for _ in range(draw.choice((1, 1, 2, 3))):
            boxes = BOX_MUTATIONS if original.suffix in (".mp4", ".mov") and draw.random() < 0.6 else ()
            mutation = draw.choice(boxes or MUTATIONS)
            data = mutation(data, draw)
            names.append(mutation.__name__)
        written.append(folder / f"{number:05d} {original.stem} {' '.join(names)}{original.suffix}")
        written[-1].write_bytes(data)
    return written


def cut_off(data: bytearray, draw: random.Random) -> bytearray:
    return data[: draw.randrange(len(data) + 1)]


def flip_bits(data: bytearray, draw: random.Random) -> bytearray:
    for _ in range(draw.choice((1, 4, 32, 256))):
        if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def flip_head(data: bytearray, draw: random.Random) -> bytearray:
    """Where the sizes, rates and counts are."""
    for _ in range(draw.choice((1, 2, 4))):
        if data:
            data[draw.randrange(min(len(data), 400))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return data


def run_of_bytes(data: bytearray, draw: random.Random) -> bytearray:
    start, length = draw.randrange(len(data) + 1), draw.choice((2, 4, 8, 64, 1000))
    fill = draw.choice((b"\0", b"\xff", None))
    run = fill * length if fill else draw.randbytes(length)
    data[start : start + length] = run[: len(data) - start]
    return data


def insert(data: bytearray, draw: random.Random) -> bytearray:
    start = draw.randrange(len(data) + 1)
    data[start:start] = draw.randbytes(draw.choice((1, 4, 100)))
    return data


def remove(data: bytearray, draw: random.Random) -> bytearray:
    start = draw.randrange(len(data) + 1)
    del data[start : start + draw.choice((1, 4, 100))]
    return data


def swap_halves(data: bytearray, draw: random.Random) -> bytearray:
    """Two pieces change places."""
    first, second, third = sorted(draw.randrange(len(data) + 1) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def huge_number(data: bytearray, draw: random.Random) -> bytearray:
    """Any four or eight bytes, a size, a count or a rate maybe, become huge, zero or negative."""
    start, size = draw.randrange(len(data) + 1) & ~1, draw.choice((2, 4, 8))
    value = draw.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 10**9, 2**63 - 1, 2**64 - 1)) % 2 ** (8 * size)
    data[start : start + size] = value.to_bytes(size, draw.choice(("big", "little")))[: len(data) - start]
    return data


MUTATIONS: Sequence[Mutation] = (cut_off, flip_bits, flip_head, run_of_bytes, insert, remove, swap_halves, huge_number)


def _remux(source: Path, target: Path, name: str) -> None:
    with av.open(source) as read, av.open(target, "w", format=name) as written:
        streams = {stream: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                written.mux(packet)


def _encode_pictures(target: Path, codec: str, pixel_format: str, pixels: np.ndarray) -> None:
    with av.open(target, "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[1:3], pixel_format
        for picture in pixels:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _encode_sound(target: Path, codec: str, tone: np.ndarray) -> None:
    with av.open(target, "w") as container:
        stream = container.add_stream(codec, rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
