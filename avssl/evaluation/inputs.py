"""Files and arrays as what a model's views read: both through a `Reader`, so that the same content gives the same."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.clips import around, partner_of
from avssl.data.decode.image import EXTENSIONS, read_image, shrunk
from avssl.data.decode.info import MediaInfo
from avssl.data.decode.limits import MAX_CHANNELS, MAX_RATE_HZ
from avssl.data.decode.media import DecodeError
from avssl.data.decode.media_probe import probe
from avssl.data.decode.pictures import as_images
from avssl.data.decode.pyav import GRACE_S
from avssl.data.decode.readers import open_reader
from avssl.data.decode.sound import mixed, resampled_window
from avssl.data.status import status_of
from avssl.functional.checks import check
from avssl.types import UserError

STREAMS = ("video", "audio", "image")
LOUDEST = 10.0
"""Floats beyond this are whole numbers that nobody has scaled to [-1, 1]."""
WAVES = "[samples] or [channels samples], int16, int32 or floats in [-1, 1]"
FRAMES = "uint8 [frames height width 3] or [frames 3 height width]"
IMAGES = "uint8 [height width 3], [3 height width] or [height width], a PIL image, or a path"


@dataclass(frozen=True)
class FileInput:
    """A media or picture file; its streams play together in `span_s` (start, duration)."""

    path: Path
    span_s: tuple[float, float]
    decoder: str = "av"

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, views: Mapping[str, Any]) -> dict[str, Tensor]:
        """The input of each view's encoder. Raises DecodeError."""
        picture = is_picture(self.path)
        with PictureReader(self.path) if picture else open_reader(self.path, self.decoder) as reader:
            starts = middle(views, self.span_s)
            return {name: view.eval(view.read(reader, starts[name])) for name, view in views.items()}


@dataclass(frozen=True)
class ArrayInput:
    """Arrays of one instance by stream, whose first samples and frames are at time 0."""

    name: str
    span_s: tuple[float, float]
    readers: Mapping[str, ArrayReader]

    def read(self, views: Mapping[str, Any]) -> dict[str, Tensor]:
        """See `FileInput`."""
        starts = middle(views, self.span_s)
        return {name: v.eval(v.read(self.readers[v.stream], starts[name])) for name, v in views.items()}


Input = FileInput | ArrayInput


def middle(views: Mapping[str, Any], span_s: tuple[float, float]) -> dict[str, float]:
    """Where each view starts in s: as the one clip of a file does in `ClipDataset`, at the middle."""
    videos = {name: view for name, view in views.items() if view.stream == "video"}
    starts = {name: span_s[0] + max(span_s[1] - view.duration_s, 0.0) / 2 for name, view in views.items()}
    for name, view in views.items():
        if view.stream == "audio" and (partner := partner_of(name, list(videos))):
            starts[name] = around(starts[partner], videos[partner].duration_s, view.duration_s, 0.0, span_s)
    return starts


class _Loaded:
    """A `backend.Reader` that has nothing to close."""

    def __enter__(self) -> _Loaded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        raise DecodeError("array", "no frames")

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        raise DecodeError("array", "no sound")


class PictureReader(_Loaded):
    """A picture file, which shows the same at all times."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        return read_image(self._path, short_side).expand(len(times_s), -1, -1, -1)


class ArrayReader(_Loaded):
    """One array, read as a file with that content is: `duration_s` long, 0 for an image."""

    duration_s = 0.0


class WaveReader(ArrayReader):
    """Samples [channels n]."""

    def __init__(self, samples: np.ndarray, rate_hz: int) -> None:
        self._samples, self._rate_hz = samples, rate_hz
        self.duration_s = samples.shape[1] / rate_hz

    def audio(self, start_s: float | int, duration_s: float | int, rate_hz: int) -> Float32[Tensor, "1 n"]:
        """See `backend.Reader`."""
        first, count = round(start_s * rate_hz), round(duration_s * rate_hz)
        return torch.from_numpy(resampled_window(self._read, first, count, self._rate_hz, rate_hz))[None]

    def _read(self, start: int, stop: int) -> np.ndarray:
        return np.ascontiguousarray(mixed(self._samples[:, start:stop]))


class FrameReader(ArrayReader):
    """Frames [t h w 3]."""

    def __init__(self, frames: np.ndarray, fps: Fraction) -> None:
        self._frames, self._fps = frames, fps
        self.duration_s = float(len(frames) / fps)

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        last = len(self._frames) - 1
        rows = [min(max(int((Fraction(t) + GRACE_S) * self._fps // 1), 0), last) for t in times_s]
        made = {row: VideoFrame.from_ndarray(np.ascontiguousarray(self._frames[row]), "rgb24") for row in set(rows)}
        images = as_images([made[row] for row in rows], VideoReformatter(), short_side)
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


class ImageReader(ArrayReader):
    """An image [3 h w]."""

    def __init__(self, image: Tensor) -> None:
        self._image = image

    def frames(self, times_s: Sequence[float | int], short_side: int | None = None) -> UInt8[Tensor, "t 3 h w"]:
        """See `backend.Reader`."""
        return shrunk(self._image, short_side).expand(len(times_s), -1, -1, -1)


def is_picture(path: Path) -> bool:
    return path.suffix[1:].lower() in EXTENSIONS


# Files


def paths_of(files: Any) -> list[Path]:
    """One path, or the paths of a list. Raises UserError for anything else, and for none."""
    one = isinstance(files, str | os.PathLike | bytes | bytearray | Mapping) or is_array(files)
    several = list(files) if isinstance(files, Iterable) and not one else [files]
    found = [_path(file) for file in several]
    check("files", files, len(found) > 0, "one path and more")
    return found


def _path(file: Any) -> Path:
    if is_array(file):
        raise UserError("files: an array; allowed: paths; an array is given as audio=, video= or image=")
    ok = isinstance(file, str | os.PathLike) and isinstance(os.fspath(file), str) and os.fspath(file) != ""
    check("files", file, ok, "a path, a list of paths, or arrays as audio=, video=, image=")
    return Path(file).expanduser()


def file_input(path: Path, views: Mapping[str, Any], decoder: str = "av") -> FileInput:
    """What the views read of a file. Raises DecodeError where it lacks a stream or is shorter than a view."""
    if path.is_dir():
        raise DecodeError(
            path, "a folder; allowed: files; avssl.embed(model, FOLDER, out=...) embeds all that it holds"
        )
    if not path.exists():
        raise DecodeError(path, "no such file")
    if is_picture(path) and all(view.stream == "image" for view in views.values()):
        return FileInput(path, (0.0, 0.0))
    info = probe(path)
    if fault := fault_of(info, views):
        raise DecodeError(path, fault)
    return FileInput(path, (info.start_s, info.duration_s), decoder)


def fault_of(info: MediaInfo, views: Mapping[str, Any]) -> str:
    """Why a file with these facts cannot be embedded, and what could be; "" where it can."""
    facts = {field: getattr(info, field) for field in MediaInfo.__slots__} | {"status": "ok"}
    need_s = longest(views)
    kinds = sorted({_needs(view) for view in views.values()}, reverse=True)
    if (status := status_of(facts, kinds, need_s)) == "ok":
        return ""
    alone = [name for name, view in views.items() if status_of(facts, [_needs(view)], view.duration_s) == "ok"]
    reason = {"too_short": f"it plays for {info.duration_s:.4g} s"}.get(status, info.detail)
    allowed = f"files with {' and '.join(kinds)}" + (f" of {need_s:g} s and more" if need_s else "")
    hint = f", or views={alone}" if alone else ""
    return f"{status}{f': {reason}' if reason else ''}; allowed: {allowed}{hint}"


def _needs(view: Any) -> str:
    return "audio" if view.stream == "audio" else "video"


def longest(views: Mapping[str, Any]) -> float:
    """The span in s that an input needs."""
    return float(max(view.duration_s for view in views.values()))


# Arrays


def array_inputs(arrays: Mapping[str, Any], rate_hz: Any, fps: Any, views: Mapping[str, Any]) -> list[Input]:
    """The rows of `audio`, `video` and `image`, each one array or a list of them. Raises UserError."""
    lists = {name: list(given) if isinstance(given, list | tuple) else [given] for name, given in arrays.items()}
    lengths = {name: len(rows) for name, rows in lists.items()}
    (first, count) = next(iter(lengths.items()))
    check(first, arrays[first], count > 0, "an array, or a list of one and more")
    if other := next((name for name, length in lengths.items() if length != count), None):
        raise UserError(f"{other}: a list of {lengths[other]}, and {first} one of {count}; allowed: equally many")
    rates = {"audio": _rates("rate_hz", rate_hz, "audio" in lists, count, "Hz"), "image": [None] * count}
    rates["video"] = _rates("fps", fps, "video" in lists, count, "frames per second")
    found: list[Input] = []
    for row in range(count):
        readers = dict[str, ArrayReader]()
        for stream, rows in lists.items():
            name = f"{stream}[{row}]" if isinstance(arrays[stream], list | tuple) else stream
            readers[stream] = _reader(stream, name, rows[row], rates[stream][row])
        span_s = min((r.duration_s for stream, r in readers.items() if stream != "image"), default=0.0)
        name = f"{first}[{row}]" if count > 1 else " and ".join(lists)
        if span_s < longest(views) - 1e-9:
            most = max(views, key=lambda view: views[view].duration_s)
            need = f"{longest(views):g} s and more, for the view {most}"
            raise UserError(f"{name}: lasts {span_s:.4g} s; allowed: {need}")
        found.append(ArrayInput(name, (0.0, span_s), readers))
    return found


def _rates(name: str, given: Any, used: bool, count: int, unit: str) -> list[Any]:
    """One number above 0 for every row."""
    if not used:
        check(name, given, given is None, f"None, for there is no {'audio' if name == 'rate_hz' else 'video'}")
        return [None] * count
    rates = list(given) if isinstance(given, list | tuple) else [given] * count
    check(name, given, len(rates) == count, f"one number in {unit}, or one for each of {count} arrays")
    for rate in rates:
        number = isinstance(rate, int | float | np.integer | np.floating | Fraction) and not isinstance(rate, bool)
        check(name, rate, bool(number and math.isfinite(rate) and rate > 0), f"{unit} above 0")
        if name == "rate_hz":
            check(name, rate, bool(rate == int(rate) <= MAX_RATE_HZ), f"whole numbers up to {MAX_RATE_HZ}")
    return rates


def _reader(stream: str, name: str, given: Any, rate: Any) -> ArrayReader:
    if stream == "audio":
        return WaveReader(_wave(name, given), int(rate))
    if stream == "video":
        return FrameReader(
            _frames(name, given), Fraction(rate) if isinstance(rate, Fraction) else Fraction(float(rate))
        )
    return ImageReader(_image(name, given))


def is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | Tensor)


def _array(name: str, given: Any, allowed: str) -> np.ndarray:
    if not is_array(given):
        raise UserError(f"{name}: {_kind(given)}; allowed: numpy arrays and torch tensors {allowed}, or a list of them")
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        given = (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    return given


def _kind(given: Any) -> str:
    return repr(given) if given is None or isinstance(given, bool | int | float) else f"a {type(given).__name__}"


def _shape(x: np.ndarray) -> str:
    return f"{x.dtype} [{' '.join(map(str, x.shape))}]"


def _wave(name: str, given: Any) -> np.ndarray:
    """[channels n]"""
    x = _array(name, given, WAVES)
    ok = x.ndim in (1, 2) and (x.dtype in (np.int16, np.int32) or x.dtype.kind == "f")
    if not ok:
        raise UserError(f"{name}: {_shape(x)}; allowed: {WAVES}{', a list for a batch' if x.ndim == 3 else ''}")
    if x.size == 0:
        raise UserError(f"{name}: {_shape(x)} is empty; allowed: {WAVES}")
    x = x[None] if x.ndim == 1 else x
    if x.shape[0] > min(x.shape[1], MAX_CHANNELS) and x.shape[1] <= MAX_CHANNELS:
        raise UserError(f"{name}: {_shape(x)} has more channels than samples; allowed: {WAVES} (transpose it)")
    if x.dtype.kind == "f":
        peak = np.abs(x).max()
        if not np.isfinite(peak):
            raise UserError(f"{name}: holds values that are not finite; allowed: {WAVES}")
        if peak > LOUDEST:
            raise UserError(f"{name}: {x.dtype} up to {peak:g}; allowed: {WAVES}")
    return x


def _frames(name: str, given: Any) -> np.ndarray:
    """[t h w 3]"""
    x = _array(name, given, FRAMES)
    if x.dtype != np.uint8 or x.ndim != 4 or 3 not in (x.shape[3], x.shape[1]):
        raise UserError(f"{name}: {_shape(x)}; allowed: {FRAMES}{', a list for a batch' if x.ndim == 5 else ''}")
    if x.size == 0:
        raise UserError(f"{name}: {_shape(x)} is empty; allowed: {FRAMES}")
    return x if x.shape[3] == 3 else np.moveaxis(x, 1, 3)


def _image(name: str, given: Any) -> Tensor:
    """[3 h w]"""
    if isinstance(given, str | os.PathLike):
        return read_image(Path(given).expanduser())
    if (pil := sys.modules.get("PIL.Image")) and isinstance(given, pil.Image):
        from PIL import ImageOps

        if given.mode[0] in "IF":
            raise UserError(f"{name}: a PIL image of mode {given.mode}; allowed: 8 bits a channel")
        given = np.array(ImageOps.exif_transpose(given).convert("RGB"))
    x = _array(name, given, IMAGES)
    if x.dtype == np.uint8 and x.ndim == 2:
        x = np.repeat(x[:, :, None], 3, axis=2)
    if x.dtype != np.uint8 or x.ndim != 3 or 3 not in (x.shape[2], x.shape[0]):
        raise UserError(f"{name}: {_shape(x)}; allowed: {IMAGES}{', a list for a batch' if x.ndim == 4 else ''}")
    if x.size == 0:
        raise UserError(f"{name}: {_shape(x)} is empty; allowed: {IMAGES}")
    return torch.from_numpy(np.array(x if x.shape[2] != 3 else np.moveaxis(x, 2, 0)))
