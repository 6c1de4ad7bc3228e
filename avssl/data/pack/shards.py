"""Packing to WebDataset tars: each instance `<id>.000000.jpg` ..., `<id>.wav` (PCM16 mono) and `<id>.json`."""

from __future__ import annotations

import json
import tarfile
import wave
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from jaxtyping import Int16, UInt8
from torch import Tensor

from avssl.data.pack.hashing import CHUNK, new_hash
from avssl.data.pack.media import Item, blocks
from avssl.data.pack.pcm import to_int16
from avssl.data.pack.settings import Settings
from avssl.files import whole

FOLDER, BLOCK = "shards", 512
END = bytes(2 * BLOCK)
WAV_HEADER = 44


class ShardWriter:
    """Tars of at most `shard_mb`, or of one instance that is larger; each appears when it is whole.

    Nothing in them tells when, where or by whom they were written: the same films give the same bytes.
    """

    def __init__(self, out: Path, name: str, settings: Settings) -> None:
        self._out, self._name, self._settings = out, name, settings
        self._limit, self._tars = settings.shard_mb * 1e6, 0
        self._handle: BinaryIO | None = None
        self._open = ExitStack()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._handle is not None and error[0] is None:
            self._handle.write(END)
        self._open.__exit__(*error)

    def add(self, root: Path, item: Item, source_hash: str) -> dict[str, Any]:
        """Append an instance; nothing of it stays where its source cannot be decoded."""
        handle = self._handle or self._begin()
        start = handle.tell()
        try:
            members = Members(handle, item.id)
            facts = self._write(members, root, item, source_hash)
        except BaseException:
            handle.seek(start)
            handle.truncate()
            raise
        stop = handle.tell()
        if start and stop + len(END) > self._limit:
            start, handle = 0, self._moved(handle, start)
            stop = handle.tell()
        return {
            "path": item.path,
            "size_bytes": stop - start,
            "content_hash": members.digest.hexdigest(),
            "container": "tar",
            "shard": self._shard,
            "offset": start,
            **facts,
            **{key: start + at for key, at in members.offsets.items()},
        }

    def _write(self, members: Members, root: Path, item: Item, source_hash: str) -> dict[str, Any]:
        settings, facts, samples = self._settings, dict[str, Any](), []
        sizes: list[int] = []
        for block in blocks(root, item, settings):
            if block.samples is not None:
                samples.append(to_int16(block.samples))
            for frame in () if block.frames is None else block.frames:
                jpeg = jpeg_of(frame, settings.quality)
                members.add(f"{len(sizes):06d}.jpg", jpeg, "frames_offset")
                sizes.append(len(jpeg))
                facts |= {"height": frame.shape[0], "width": frame.shape[1], "video_codec": "mjpeg"}
        if item.has_audio:
            pcm = np.concatenate(samples)
            members.add("wav", wav(pcm, settings.rate_hz), "sound_offset", WAV_HEADER)
            facts |= {"samples": len(pcm), "audio_codec": "pcm_s16le"}
        facts |= {"frames": len(sizes), "frame_sizes": sizes}
        told = {name: getattr(item, name) for name in ("id", "path", "label", "split", "start_s", "duration_s")}
        told |= {"fps": settings.fps, "rate_hz": settings.rate_hz, "source_hash": source_hash}
        told |= {name: facts.get(name, 0) for name in ("frames", "height", "width", "samples")}
        members.add("json", json.dumps(told, ensure_ascii=False).encode(), "json_offset")
        members.offsets.pop("json_offset")
        return facts

    @property
    def _shard(self) -> str:
        more = f"-{self._tars - 1}" if self._tars > 1 else ""
        return f"{FOLDER}/{self._name}{more}.tar"

    def _begin(self) -> BinaryIO:
        self._tars += 1
        self._handle = self._open.enter_context(whole(self._out / self._shard))
        return self._handle

    def _moved(self, full: BinaryIO, start: int) -> BinaryIO:
        """A new tar that begins with what the full one has from `start` on."""
        full_stack = self._open.pop_all()
        with full_stack, Path(full.name).open("rb") as copy:
            full.flush()
            copy.seek(start)
            handle = self._begin()
            while chunk := copy.read(CHUNK):
                handle.write(chunk)
            full.seek(start)
            full.truncate()
            full.write(END)
        return handle


class Members:
    """Members of one instance, written at the end of a tar; `offsets` count from the instance's start."""

    def __init__(self, handle: BinaryIO, key: str) -> None:
        self._handle, self._key, self._size = handle, key, 0
        self.digest, self.offsets = new_hash(), dict[str, int]()

    def add(self, suffix: str, data: bytes, name: str, skip: int = 0) -> None:
        """`offsets[name]` is where the first member of that name has its data, `skip` bytes in."""
        header = tarfile.TarInfo(f"{self._key}.{suffix}")
        header.size = len(data)
        self.offsets.setdefault(name, self._size + BLOCK + skip)
        for part in (header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % BLOCK)):
            self._handle.write(part)
            self.digest.update(part)
            self._size += len(part)


def jpeg_of(image: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    from torchvision.io import encode_jpeg

    encoded = encode_jpeg(torch.from_numpy(image).permute(2, 0, 1), quality)
    return cast(Tensor, encoded).numpy().tobytes()


def wav(samples: Int16[np.ndarray, " n"], rate_hz: int) -> bytes:
    """A WAV file of int16 mono samples."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
