"""A data set's kind, views and preprocessing as plain names and values, as a checkpoint holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avssl.data.source import Source
from avssl.errors import UserError
from avssl.specs import build, spec_of

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


def source_spec(source: Source) -> dict[str, Any]:
    """What `build_source` makes a source of the same kind from again; augmentations and places are left out."""
    return spec_of(source, KINDS)


def build_source(spec: Mapping[str, Any], trust: bool = False) -> Source:
    """A data set without a root. UserError: an unknown name, or code of others where there is no trust."""
    source = build(spec, KINDS, trust, "data")
    if not isinstance(source, Source):
        raise UserError(f"data: {type(source).__name__} is no data set; allowed: {', '.join(list(KINDS)[:4])}")
    return source
