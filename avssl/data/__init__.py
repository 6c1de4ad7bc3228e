"""From files to batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.data.cameras import MultiCamera as MultiCamera
    from avssl.data.clip_files import VideoFolder as VideoFolder
    from avssl.data.clips import AudioView as AudioView
    from avssl.data.clips import VideoView as VideoView
    from avssl.data.images import ImageFolder as ImageFolder
    from avssl.data.manifest import Manifest as Manifest
    from avssl.data.packed import PackedVideos as PackedVideos
    from avssl.data.pictures import ImageView as ImageView
    from avssl.data.source import Source as Source

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AudioView": "avssl.data.clips",
        "ImageFolder": "avssl.data.images",
        "ImageView": "avssl.data.pictures",
        "Manifest": "avssl.data.manifest",
        "MultiCamera": "avssl.data.cameras",
        "PackedVideos": "avssl.data.packed",
        "Source": "avssl.data.source",
        "VideoFolder": "avssl.data.clip_files",
        "VideoView": "avssl.data.clips",
    },
)
