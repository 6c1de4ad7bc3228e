"""A pack (`avssl-prep pack`) as a data set: the clips of its source, read quickly."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from avssl.data.clip_files import Clips
from avssl.data.clips import ClipDataset, VideoView, View
from avssl.data.manifest import Manifest
from avssl.data.pack.opener import card_of, pack_opener
from avssl.data.pack.settings import CARD, MANIFEST, Settings
from avssl.data.pack.store import Store, url_of
from avssl.data.source import Found, Source, by_branch

log = logging.getLogger(__name__)


class Packed(Source):
    """A folder, or a URL that fsspec reads, with a pack in it; what is not packed yet is not there.

    `decoder`, one of `readers.DECODERS`, is for packs of mp4 and for queries.
    """

    def __init__(self, views: Mapping[str, View], decoder: str = "av") -> None:
        self.views, self.decoder = views, decoder
        self._clips = Clips(views, decoder)

    @property
    def need(self) -> str:
        return self._clips.need

    def find(
        self, root: Path, manifest: Path | None, workers: int, on_file: Callable[[int, int], None] | None = None
    ) -> Manifest:
        store = Store(root)
        tell_less(self.views, card_of(store))
        if manifest is not None:
            return replace(Manifest.read(manifest, manifest.parent), root=root)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, MANIFEST)
            copy.write_bytes(store.whole(MANIFEST))
            return replace(Manifest.read(copy, folder), root=root)

    def trainable(self, files: Manifest) -> Found:
        return self._clips.trainable(files)

    def view_names(self, files: Manifest | None) -> list[str]:
        return list(self.views)

    def train_set(self, files: Manifest, seed: int, clips_per_video: int) -> ClipDataset:
        opener = pack_opener(files, self.decoder)
        return ClipDataset(files, self.views, opener, seed=seed, train=True, clips_per_video=clips_per_video)

    def embeddable(self, files: Manifest) -> Found:
        return self._clips.embeddable(files)

    def eval_set(self, files: Manifest, clips: int) -> ClipDataset:
        views = by_branch(self.views)
        return ClipDataset(files, views, pack_opener(files, self.decoder), seed=0, train=False, clips_per_video=clips)

    def query_set(self, file: Path, branch: str) -> ClipDataset:
        """A query is a media file, not a pack's."""
        return self._clips.query_set(file, branch)


def is_pack(root: Path) -> bool:
    """Whether a pack is read from there; a URL is always taken for one."""
    return url_of(root) is not None or (root / CARD).is_file()


def tell_less(views: Mapping[str, View], pack: Settings) -> None:
    """Log what views ask for that the pack does not have: frames are repeated, nothing is enlarged or invented."""
    for name, view in views.items():
        if isinstance(view, VideoView):
            asked = {"fps": (view.fps, pack.fps), "short_side": (view.short_side or math.inf, pack.size)}
        else:
            asked = {"rate_hz": (view.rate_hz, pack.rate_hz)}
        for key, (wanted, there) in asked.items():
            if wanted > there:
                told = "null" if wanted == math.inf else wanted
                log.warning("data.views.%s.%s=%s: the pack has no more than %s", name, key, told, there)
