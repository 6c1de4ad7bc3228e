"""Real data and media that tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch

REPO = Path(__file__).parents[1]

torch.set_num_threads(1)


def lacking(what: str) -> NoReturn:
    """Skip with the reason; in CI, where everything is installed, fail."""
    if os.environ.get("AVSSL_CI"):
        pytest.fail(f"{what} (a skip is a failure in CI)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden values, which is no part of the project."""
    folder = Path(os.environ.get("AVSSL_SHARED", REPO.parent / "shared"))
    if not folder.is_dir():
        lacking(f"no folder {folder}; set AVSSL_SHARED")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """Small reference values, committed beside the tests."""
    return REPO / "tests" / "golden"


@pytest.fixture(scope="session")
def tiny_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small mp4 files of 8 kinds, sound and picture belonging together."""
    from avssl.data.synthetic import write_synthetic

    root = tmp_path_factory.mktemp("tiny") / "videos"
    write_synthetic(root, clips=24, seed=7, size=32, workers=0)
    return root
