"""Pictures and sound of instances of shards and arrays, at given times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import cast

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.decode.image_header import picture_size
from avssl.data.decode.limits import fault_of_picture
from avssl.data.decode.media import DecodeError
from avssl.data.decode.pyav import GRACE_S
from avssl.data.decode.sound import resampled_window
from avssl.data.pack.index import Entry
from avssl.data.pack.pcm import to_float32
from avssl.data.pack.settings import SHARDS, Settings
from avssl.data.pack.shards import BLOCK
from avssl.data.pack.store import Store

GRACE = float(GRACE_S)


class PackReader:
    """An instance of shards or arrays."""

    def __init__(self, store: Store, entry: Entry, settings: Settings) -> None:
        self.path = store.root / entry.frames_file
        self._store, self._entry, self._settings = store, entry, settings
        images: Callable[[list[int]], Tensor] = self._jpegs if settings.format == SHARDS else self._arrays
        self._images = images

    def __enter__(self) -> PackReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """The frame played at each time, shrunk to `short_side` where it is larger."""
        if not self._entry.frames:
            raise DecodeError(self.path, "no video stream")
        if fault := fault_of_picture(self._entry.width, self._entry.height):
            raise DecodeError(self.path, fault)
        last, fps = self._entry.frames - 1, self._settings.fps
        images = self._images([min(max(math.floor((time_s + GRACE) * fps), 0), last) for time_s in times_s])
        height, width = images.shape[2:]
        scale = min(1.0, short_side / min(height, width)) if short_side else 1.0
        if scale == 1.0:
            return images
        from torchvision.transforms.v2.functional import resize

        return resize(images, [round(height * scale), round(width * scale)], antialias=True)

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """Mono sound of [start_s, start_s + duration_s), 0 outside of the instance."""
        if not self._entry.samples:
            raise DecodeError(self.path, "no audio stream")
        first, count = round(start_s * rate_hz), round(duration_s * rate_hz)
        window = resampled_window(self._samples, first, count, self._settings.rate_hz, rate_hz)
        return torch.from_numpy(window)[None]

    def _samples(self, start: int, stop: int) -> Float32[np.ndarray, " n"]:
        entry = self._entry
        start, stop = min(start, entry.samples), min(stop, entry.samples)
        data = self._store.read(entry.sound_file, entry.sound_offset + 2 * start, entry.sound_offset + 2 * stop)
        return to_float32(data.view("<i2"))

    def _arrays(self, numbers: list[int]) -> UInt8[Tensor, "t 3 h w"]:
        entry, first = self._entry, min(numbers)
        shape = 3, entry.height, entry.width
        size = math.prod(shape)
        start, stop = (entry.frames_offset + number * size for number in (first, max(numbers) + 1))
        pages = self._store.read(entry.frames_file, start, stop).reshape(-1, *shape)
        return torch.from_numpy(pages[[number - first for number in numbers]])  # a copy

    def _jpegs(self, numbers: list[int]) -> UInt8[Tensor, "t 3 h w"]:
        entry, first, last = self._entry, min(numbers), max(numbers)
        sizes = entry.frame_sizes[: last + 1].astype(np.int64)
        ends = entry.frames_offset + np.cumsum(-(-sizes // BLOCK) * BLOCK + BLOCK)  # of each frame and the next header
        starts = [entry.frames_offset, *ends.tolist()]
        data = self._store.read(entry.frames_file, starts[first], starts[last] + int(sizes[last]))
        # Colours last, as the decoder writes them: the transforms do not need them in front, and that takes time.
        images = torch.empty(len(numbers), entry.height, entry.width, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        for i, number in enumerate(numbers):
            if i and number == numbers[i - 1]:
                images[i] = images[i - 1]
                continue
            at = starts[number] - starts[first]
            images[i] = self._image(number, data[at : at + int(sizes[number])])
        return images

    def _image(self, number: int, jpeg: UInt8[np.ndarray, " n"]) -> UInt8[Tensor, "3 h w"]:
        """A frame's picture, decoded only where its header tells the size that the index does."""
        from torchvision.io import ImageReadMode, decode_jpeg

        try:
            if picture_size(jpeg.tobytes()) == (self._entry.width, self._entry.height):
                return cast(Tensor, decode_jpeg(torch.from_numpy(jpeg), ImageReadMode.RGB))
        except (ValueError, RuntimeError) as error:
            raise DecodeError(self.path, f"frame {number}: {str(error).splitlines()[0]}") from error
        raise DecodeError(self.path, f"frame {number}: of another size than the index says")
