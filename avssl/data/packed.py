"""A pack (`avssl-prep pack`) as a data set: the clips of its source, read quickly."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from avssl.data.clip_files import VideoFolder
from avssl.data.clips import Opener, VideoView, View
from avssl.data.manifest import Manifest
from avssl.data.pack.opener import card_of, pack_opener
from avssl.data.pack.settings import CARD, MANIFEST, Settings
from avssl.data.pack.store import Store, url_of
from avssl.data.source import OnFile

log = logging.getLogger(__name__)


class PackedVideos(VideoFolder):
    """A folder, or a URL that fsspec reads, with a pack in it; what is not packed yet is not there.

    `decoder`, one of `readers.DECODERS`, is for packs of mp4 and for queries, which are media files, not a pack's.
    """

    def _find(self, root: Path, manifest: Path | None, workers: int, on_file: OnFile | None) -> Manifest:
        store = Store(root)
        tell_less(self.views, card_of(store))
        if manifest is not None:
            return replace(Manifest.read(manifest, manifest.parent), root=root)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, MANIFEST)
            copy.write_bytes(store.whole(MANIFEST))
            return replace(Manifest.read(copy, folder), root=root)

    def _opener(self, files: Manifest) -> Opener:
        return pack_opener(files, self.decoder)


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
                log.warning("views.%s.%s=%s: the pack has no more than %s", name, key, told, there)
