"""Small local copies of public data sets, and a way to run the script of one."""

from __future__ import annotations

import importlib
import sys
import wave
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from avssl.data.encode import write_clip

REPO = Path(__file__).parents[2]
number = count()


def write_wav(file: Path) -> None:
    """0.6 s of sound that no other file has."""
    tone = np.sin(np.arange(4800) * (0.1 + 0.001 * next(number)))
    with wave.open(str(file), "wb") as handle:
        handle.setparams((1, 2, 8000, 0, "NONE", ""))
        handle.writeframes((8000 * tone).astype("<i2").tobytes())


def write_video(file: Path, sound: bool) -> None:
    """0.75 s of 16 x 16 pixels that no other file has."""
    frames = np.random.default_rng(next(number)).integers(0, 256, (6, 16, 16, 3), np.uint8)
    samples = np.sin(np.arange(6000) / 5).astype(np.float32) if sound else None
    write_clip(file, frames, 8, samples, 8000)


@pytest.fixture(scope="session")
def copy() -> Callable[..., Path]:
    """copy(root, *paths): write media files, sound alone where the name ends in .wav, and give the root back."""

    def write(root: Path, *paths: str, sound: bool = True) -> Path:
        for path in paths:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".wav":
                write_wav(file)
            else:
                write_video(file, sound)
        return root

    return write


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """The module of a script, found as `python data_prep/NAME.py` finds its neighbours."""
    monkeypatch.syspath_prepend(str(REPO / "data_prep"))
    return importlib.import_module


@pytest.fixture
def prep(
    script: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """prep(NAME, *arguments): run a script without processes of its own; the lines it prints, or its one error."""

    def call(name: str, *arguments: object) -> list[str]:
        module = script(name)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments), "--workers", "0"])
        status = 0
        try:
            module.run(module.main)
        except SystemExit as ended:
            status = ended.code
        printed, error = capsys.readouterr()
        if status == 0:
            assert not error
            return printed.splitlines()
        assert (status, printed, error.count("\n")) == (2, "", 1), error
        return error.splitlines()

    return call
