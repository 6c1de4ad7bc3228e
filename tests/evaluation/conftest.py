from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import tiny_model

from avssl.evaluation.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture(scope="module")
def clips(tiny_videos: Path) -> list[Path]:
    return sorted(tiny_videos.rglob("*.mp4"))[:7]
