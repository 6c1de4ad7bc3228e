"""Turntable pictures become a rig of cameras, and a folder of pictures by object."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.data.decode.image import read_image

REPO = Path(__file__).parents[2]
SCRIPT = REPO / "data_prep" / "coil20.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def mat(shared: Path) -> Path:
    return shared / "data" / "coil20" / "COIL20.mat"


@pytest.fixture(scope="module")
def written(mat: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coil")
    done = run("--mat", mat, "--out", out, "--every", 90, "--cameras", 0, 30, 330)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{out}/rig: 80 instances of 3 cameras",
        f"{out}/views: 1440 pictures of 20 objects",
    ]
    return out


@pytest.fixture(scope="module")
def pictures(mat: Path) -> np.ndarray:
    spec = importlib.util.spec_from_file_location("coil20", SCRIPT)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.read_coil20(mat)


def test_every_picture_is_there_once(written: Path, pictures: np.ndarray):
    files = sorted((written / "views").glob("*/*.png"))
    assert len(files) == 1440
    for number in (1, 7, 20):
        for angle in (0, 5, 355):
            image = read_image(written / "views" / f"{number:02d}" / f"{angle:03d}.png").numpy()
            assert (image == pictures[number - 1, angle // 5]).all()


def test_a_camera_sees_the_object_from_its_angle(written: Path, pictures: np.ndarray):
    assert len(list((written / "rig").glob("*/*.png"))) == 240
    for position, camera, angle in ((0, 30, 30), (270, 30, 300), (90, 330, 60), (0, 330, 330)):
        image = read_image(written / "rig" / f"03_{position:03d}" / f"{camera:03d}.png").numpy()
        assert (image == pictures[2, angle // 5]).all()


def test_neighbouring_angles_of_an_object_are_alike_and_pictures_stand_upright(pictures: np.ndarray):
    """An order of rows other than by object and angle would not be smooth; objects stand on the turntable."""
    x = pictures.reshape(20, 72, -1).astype(float)
    step = np.abs(x - np.roll(x, 1, axis=1)).mean()
    assert step < 0.5 * np.abs(x - np.roll(x, 36, axis=1)).mean()
    assert step < 0.4 * np.abs(x - np.roll(x, 1, axis=0)).mean()
    duck = pictures[0, 0].astype(float)  # its body is wider than its head
    assert (duck[24] > 60).sum() > 1.3 * (duck[4] > 60).sum()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--mat", "nowhere.mat"], "nowhere.mat: no such file"), (["--cameras", "7"], "multiples of 5 degrees")],
)
def test_mistakes_end_in_one_line(mat: Path, tmp_path: Path, arguments: list[str], words: str):
    done = run("--mat", mat, "--out", tmp_path / "out", *arguments)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_file_is_read_as_scipy_reads_it(mat: Path, script: Callable[[str], Any], tmp_path: Path):
    scipy_io = pytest.importorskip("scipy.io", reason="scipy comes with scikit-learn")
    read_mat = script("coil20").read_mat
    expected = scipy_io.loadmat(mat)
    found = read_mat(mat)
    assert set(found) == {"X", "gnd"}
    for name, values in found.items():
        assert np.array_equal(values, expected[name])
    own = {"a": np.arange(6.0).reshape(2, 3), "long_name": np.arange(3, dtype=np.int16)[None], "word": "no number"}
    for compressed in (False, True):
        scipy_io.savemat(tmp_path / "own.mat", own, do_compression=compressed)
        again = read_mat(tmp_path / "own.mat")
        assert set(again) == {"a", "long_name"}
        assert all(np.array_equal(again[name], own[name]) for name in again)
    (tmp_path / "text.mat").write_text("no such file")
    with pytest.raises(ValueError, match="allowed: a little-endian file of MATLAB 5"):
        read_mat(tmp_path / "text.mat")
