"""A data set's kind, views and preprocessing as plain names and values, as a checkpoint holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avssl.data.source import Source
from avssl.errors import UserError, check
from avssl.specs import Trust, build, fits, spec_of

KINDS = {
    "video_folder": "avssl.data.clip_files:VideoFolder",
    "packed_videos": "avssl.data.packed:PackedVideos",
    "image_folder": "avssl.data.images:ImageFolder",
    "multi_camera": "avssl.data.cameras:MultiCamera",
    "video_view": "avssl.data.clips:VideoView",
    "audio_view": "avssl.data.clips:AudioView",
    "image_view": "avssl.data.pictures:ImageView",
    "video_eval": "avssl.data.transforms.video:VideoEval",
    "image_eval": "avssl.data.transforms.image:ImageEval",
    "log_spectrogram": "avssl.data.transforms.audio:LogSpectrogram",
    "kaldi_filter_bank": "avssl.data.transforms.kaldi:KaldiFilterBank",
}
"""All that a checkpoint may name. What is renamed keeps its old name here beside the new one."""
LIMITS = {
    "frames": (1, 100_000),
    "fps": (0.001, 100_000),
    "short_side": (1, 16_384),
    "size": (1, 16_384),
    "resize": (1, 16_384),
    "duration_s": (0.001, 1_000_000),
    "jitter_s": (0, 1_000_000),
    "rate_hz": (1, 10_000_000),
    "n_fft": (2, 2**20),
    "hop": (1, 2**20),
    "n_mels": (1, 4096),
}
"""Least and most of what decides how much memory a view takes: beyond them a checkpoint is no one's."""


MISSING = "missing"
"""In place of a spec: why there is none."""


def source_spec(source: Source) -> dict[str, Any]:
    """What `build_source` makes a source of the same kind from again; augmentations and places are left out."""
    return spec_of(source, KINDS)


def spec_or_reason(source: Source) -> dict[str, Any]:
    """`source_spec`, or where a view's transform is no plain names and values {"missing": why}."""
    try:
        return source_spec(source)
    except UserError as error:
        return {MISSING: f"the data's views are no plain names: {error}"}


def build_source(spec: Mapping[str, Any], trust: Trust = False) -> Source:
    """A data set without a root. UserError: an unknown name, or code of others where there is no trust.

    >>> view = {"name": "image_view", "eval": {"name": "image_eval", "size": 32}}
    >>> build_source({"name": "image_folder", "views": {"image": view}}).views["image"].eval.size
    32
    """
    if isinstance(reason := spec.get(MISSING), str):
        raise UserError(f"data: {reason}; allowed: avssl.load(..., views=), the views themselves")
    check("data", type(spec.get("name")).__name__, isinstance(spec.get("name"), str), "a spec with a name")
    _check_limits(spec, "data")
    try:
        source: Source = build(spec, KINDS, trust, "data", Source)
    except (RuntimeError, MemoryError) as error:  # torch's, of tensors that do not fit
        raise UserError(f"data: cannot be built ({(str(error) or 'memory').splitlines()[0]})") from error
    for name, view in source.views.items():
        ok = isinstance(getattr(view, "stream", None), str) and callable(getattr(view, "eval", None))
        check(f"data.views.{name}", type(view).__name__, ok, "a view of video, audio or image")
    return source


def stored_statistics(spec: Mapping[str, Any], view: str) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation that a view's spectrograms are normalized by in a stored spec; nothing is built.

    None: it has none. UserError: they are no numbers.
    """
    if MISSING in spec:
        return None
    try:
        transform = spec["views"][view]["eval"]
        mean, std = transform.get("mean"), transform.get("std")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"data.views.{view}: the checkpoint has none; allowed: the views that it was trained with"
        ) from error
    if mean is None and std is None:
        return None
    check(f"data.views.{view}", "mean, std", fits([mean, std], list[list[float]]), "a number for each band")
    return mean, std  # pyright: ignore[reportReturnType]


def _check_limits(spec: Any, where: str) -> None:
    """Raise UserError where a number of a stored spec, in views or in what they hold, would take all memory."""
    if isinstance(spec, list):
        return
    for key, value in spec.items():
        if isinstance(value, dict | list):
            _check_limits(value, f"{where}.{key}")
        elif key in LIMITS and isinstance(value, int | float):
            least, most = LIMITS[key]
            check(f"{where}.{key}", value, least <= value <= most, f"{least} to {most}")
