"""Pictures and sound out of files: `frames`, `audio`, `probe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.lazy import attach

if TYPE_CHECKING:
    from avssl.data.decode.media_probe import probe as probe
    from avssl.data.decode.readers import audio as audio
    from avssl.data.decode.readers import frames as frames

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "audio": "avssl.data.decode.readers",
        "frames": "avssl.data.decode.readers",
        "probe": "avssl.data.decode.media_probe",
    },
)
