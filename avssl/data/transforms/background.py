"""Another recording in the background."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

from avssl.data.decode.media import DecodeError
from avssl.data.decode.readers import audio, probe
from avssl.data.scan import media_files
from avssl.data.transforms.limits import check_between, check_range
from avssl.types import UserError

log = logging.getLogger(__name__)
NAMED = 5  # files that are left out and named
SILENT = 1e-12  # mean power of what is not made louder


class Recording(NamedTuple):
    """A file with sound, and the span in s that can be cut from it."""

    path: Path
    start_s: float
    duration_s: float


class BackgroundMix:
    """Adds a random window of a random file below `folder`, in the share `share` of the samples; null: off.

    It is `snr_db` dB softer than the sample, evenly drawn from that range, by the mean power of both windows. A file
    that is shorter is repeated. The draw depends on the sample's seed and on the list of files. Those that cannot be
    used are named in a warning when the first mix of a folder is built. Raises UserError for a folder without sound.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        snr_db: tuple[float | int, float | int] | list[float | int] = (5.0, 20.0),
        share: float | int = 0.5,
    ) -> None:
        check_range("snr_db", snr_db, -60, 60)
        check_between("share", share, 0, 1)
        self._recordings = recordings(Path(folder).expanduser().resolve()) if folder is not None and share else ()
        self._snr_db, self._share = tuple(snr_db), share

    def __call__(self, samples: Float32[Tensor, "1 n"], rate_hz: int) -> Float32[Tensor, "1 n"]:
        if not self._recordings or float(torch.rand(())) >= self._share:
            return samples
        recording = self._recordings[int(torch.randint(len(self._recordings), ()))]
        low, high = self._snr_db
        snr_db, place = low + (high - low) * torch.rand(()), float(torch.rand(()))
        noise = _window(recording, place, samples.shape[1], rate_hz)
        power = samples.square().mean() / noise.square().mean().clamp_min(SILENT)
        return samples + noise * (power / 10 ** (snr_db / 10)).sqrt()


@cache
def recordings(folder: Path) -> tuple[Recording, ...]:
    """The files with sound below a folder, by path; the others are named in a warning. UserError: there is none."""
    if not folder.is_dir():
        raise UserError(f"folder={folder}: no such folder; allowed: a folder of sound files, or null")
    found, left_out = list[Recording](), list[str]()
    for path in sorted(media_files(folder)):
        try:
            info = probe(folder / path)
        except DecodeError as error:
            left_out.append(f"{path}: {error.reason}")
            continue
        if info.has_audio and info.duration_s > 0:
            found.append(Recording(folder / path, info.start_s, info.duration_s))
        else:
            left_out.append(f"{path}: {'its duration is unknown' if info.has_audio else 'no sound'}")
    if left_out:
        more = "; ..." if len(left_out) > NAMED else ""
        named = "; ".join(left_out[:NAMED]) + more
        log.warning("background %s: %d of %d left out: %s", folder, len(left_out), len(left_out) + len(found), named)
    if not found:
        raise UserError(f"folder={folder}: no sound in it; allowed: a folder of sound files, or null")
    return tuple(found)


def _window(recording: Recording, place: float, samples: int, rate_hz: int) -> Tensor:
    """`samples` of a file, at the share `place` of its room: float32 [1 samples]. Raises DecodeError."""
    length_s = min(samples / rate_hz, recording.duration_s)
    start_s = recording.start_s + place * (recording.duration_s - length_s)
    cut = audio(recording.path, start_s, length_s, rate_hz)
    return cut.repeat(1, -(-samples // max(cut.shape[1], 1)))[:, :samples]
