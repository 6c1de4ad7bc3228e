"""Real data and media that tests share."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

REPO = Path(__file__).parents[1]

torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI, where everything is installed, a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("AVSSL_CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden values, which is no part of the project."""
    folder = Path(os.environ.get("AVSSL_SHARED", REPO.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set AVSSL_SHARED")
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


@pytest.fixture(scope="session")
def tiny_run(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `avssl.fit` with AVID on those files; for reading, or to be copied."""
    from tiny import tiny_avid

    import avssl
    from avssl.data import VideoFolder

    out = tmp_path_factory.mktemp("fitted") / "run"
    settings = {"epochs": 1, "batch_size": 8, "workers": 0, "accelerator": "cpu"}
    avssl.fit(tiny_avid, VideoFolder(tiny_videos, size=32), out=out, **settings)
    return out


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Call a command's entry point with its arguments, as the console script does."""

    def call(name: str, *arguments: object) -> Done:
        module = importlib.import_module(f"avssl.cli.{name}")
        monkeypatch.setattr(sys, "argv", [f"avssl-{name}", *map(str, arguments)])
        status = 0
        try:
            module.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return call
