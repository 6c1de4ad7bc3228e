"""What is said and played beside the samples of a preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from avssl.data.clips import ClipDataset
from avssl.data.source import EvalSet
from avssl.data.stream.samples import ClipKey, Sample
from avssl.data.transforms.audio import LogSpectrogram
from avssl.evaluation.inline import movie, sound, spectrogram, strip
from avssl.evaluation.media import RATE_HZ, SHORT_SIDE
from avssl.evaluation.preview_page import Media

PITCHES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)


def pitch_ticks(transform: Any) -> tuple[tuple[str, float], ...]:
    """Label and place, as a share of the height, of round frequencies that lie apart; none of unknown bands."""
    middles, ticks = getattr(transform, "band_hz", None), list[tuple[str, float]]()
    if middles is None:
        return ()
    for hz in PITCHES:
        above = int(torch.searchsorted(middles, torch.tensor(float(hz))))
        if 0 < above < len(middles):
            low, high = float(middles[above - 1]), float(middles[above])
            place = (above - 0.5 + (hz - low) / (high - low)) / len(middles)
            if not ticks or place - ticks[-1][1] > 0.16:
                ticks.append((f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz", place))
    return tuple(ticks)


def play(plain: Sample, fps: float | int) -> Media:
    """What can be played, or looked at, of a sample with the views of `preview.originals`."""
    heard = next((values for values in plain.views.values() if values.ndim == 2), None)
    seen = next((values for values in plain.views.values() if values.ndim > 2), None)
    if seen is None:
        assert heard is not None
        return Media("audio", sound(heard, RATE_HZ))
    if seen.ndim == 3:
        return Media("image", strip(seen[None], 1, SHORT_SIDE))
    below = "" if heard is None else spectrogram(LogSpectrogram(RATE_HZ, n_mels=64)(heard))
    still = strip(seen[len(seen) // 2][None], 1, SHORT_SIDE)
    return Media("video", movie(seen, float(fps), heard, RATE_HZ), still, below)


def starts_of(dataset: Any, row: int, epoch: int = 0) -> dict[str, float]:
    """Where in its file each view of a sample starts in s; nothing of pictures."""
    return dataset.starts_s(ClipKey(epoch, row, 0)) if isinstance(dataset, ClipDataset) else {}


def facts_of(dataset: EvalSet, row: int, fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the data set knows of the file in a row, whose row of `dataset.files` is `fact`."""
    facts = [("id", fact["id"]), ("size", f"{fact['size_bytes'] / 1e6:.2f} MB")]
    if not isinstance(dataset, ClipDataset):
        return facts
    media = dataset.manifest.table.slice(row, 1).to_pylist()[0]
    facts.append(("duration", f"{media['duration_s']:.2f} s"))
    if media["has_video"]:
        picture = f"{media['width']} x {media['height']}, {media['fps']:.4g} fps, {media['video_codec']}"
        facts += [("picture", picture), ("from", f"{media['video_start_s'] or 0:.3f} s")]
    if media["has_audio"]:
        channels = "mono" if media["channels"] == 1 else f"{media['channels']} channels"
        heard = f"{media['audio_rate_hz'] / 1000:g} kHz, {channels}, {media['audio_codec']}"
        facts += [("sound", heard), ("from", f"{media['audio_start_s'] or 0:.3f} s")]
    return facts
