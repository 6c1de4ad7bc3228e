"""Every example runs, from a folder with an awkward name, and stays short."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPO = Path(__file__).parents[1]
EXAMPLES = REPO / "examples"
SMALL = ("branches=tiny", "data.size=32", "trainer.epochs=2", "data.workers=0", "trainer.accelerator=cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """A folder with a copy of the examples, to work in, and the videos beside them."""
    folder = tmp_path_factory.mktemp("stranger") / "my work (2024), é"
    shutil.copytree(EXAMPLES, folder)
    shutil.copytree(tiny_videos, folder / "my videos")
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Runs a script as `run` does, but in this process, which is faster."""

    def call(file: str, *words: str) -> str:
        with monkeypatch.context() as patch:
            patch.chdir(place)
            patch.setattr(sys, "argv", [file, *words])
            patch.setattr(sys, "path", [str(place), *sys.path])
            runpy.run_path(file, run_name="__main__")
        return capfd.readouterr().out

    return call


def run(place: Path, file: str, *words: str) -> str:
    """What a script prints, started without a terminal."""
    path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, file, *words]
    done = subprocess.run(
        command, cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(place: Path, monkeypatch: pytest.MonkeyPatch, line: str, *more: str) -> None:
    """A command line of an example, on the videos here, in this process."""
    program, *words = shlex.split(line, comments=True)
    words = [word.replace("~/videos", "my videos") for word in words]
    with monkeypatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", [program, *words, *more])
        patch.setattr(sys, "path", list(sys.path))
        importlib.import_module(f"avssl.cli.{program.removeprefix('avssl-')}").main()


def lines_in(file: str, program: str) -> str:
    """The command line of that program in an example's docstring."""
    found = re.search(rf"^ *({program} .*)$", ast.get_docstring(ast.parse((EXAMPLES / file).read_text())) or "", re.M)
    assert found is not None
    return found[1]


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("file", sorted(EXAMPLES.iterdir()), ids=lambda file: file.name)
def test_an_example_has_at_most_40_lines_of_120_columns(file: Path):
    lines = (code_of(file) if file.suffix == ".ipynb" else file.read_text()).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120


def test_all_examples_are_here():
    names = ("cameras", "embed_and_search", "losses_in_my_loop", "my_encoder", "my_objective", "train_on_my_folder")
    assert {file.name for file in EXAMPLES.iterdir()} == {*(f"{name}.py" for name in names), "quickstart.ipynb"}


def test_train_on_a_folder_then_embed_and_search(place: Path, here):
    words = ["my videos", "--minutes", "0.02", *(word for word in SMALL if "epochs" not in word)]
    said = run(place, "train_on_my_folder.py", *words)
    assert re.search(r"loss \S+ -> \S+, curves in runs/mine/report.html", said)
    assert "video: R2Plus1D" in said
    said = here("embed_and_search.py", "runs/mine", "my videos", "--workers", "0")
    assert "24 clips, audio (24, 128)" in said
    assert "chance" in said
    assert len(re.findall(r"^-?\d\.\d\d  \w+/\w+\.mp4 at \d\.\d s$", said, re.M)) == 3


def test_my_objective_by_both_doors(place: Path, here, monkeypatch: pytest.MonkeyPatch):
    said = here("my_objective.py", "my videos", *SMALL)
    assert "'disagreement'" in said
    assert "audio: Conv2D10" in said
    shutil.rmtree(place / "runs" / "my_loss")
    command(place, monkeypatch, lines_in("my_objective.py", "avssl-train"), *SMALL)
    command(place, monkeypatch, lines_in("my_objective.py", "avssl-embed"), "out=emb_loss", "data.workers=0")
    assert (place / "emb_loss" / "card.json").is_file()


def test_my_encoder_by_both_doors(place: Path, monkeypatch: pytest.MonkeyPatch):
    said = run(place, "my_encoder.py", "my videos", "1")
    assert "video: MyEncoder" in said
    embed = lines_in("my_encoder.py", "avssl-embed")
    command(place, monkeypatch, embed, "out=emb_script", "data.workers=0")
    shutil.rmtree(place / "runs" / "my_encoder")
    command(place, monkeypatch, lines_in("my_encoder.py", "avssl-train"), *SMALL)
    command(place, monkeypatch, embed, "out=emb_command", "data.workers=0")
    with pytest.raises(SystemExit):  # without trust nothing of the user's is imported
        command(place, monkeypatch, embed.replace("trust=my_encoder.MyEncoder", ""), "out=emb_no", "data.workers=0")
    assert not (place / "emb_no").exists()


def test_cameras(place: Path, here):
    random = np.random.default_rng(0)
    for instance in range(6):
        (place / "rig" / str(instance)).mkdir(parents=True)
        for camera in ("left", "right", "top"):
            picture = random.integers(0, 255, (40, 40, 3), np.uint8)
            Image.fromarray(picture).save(place / "rig" / str(instance) / f"{camera}.png")
    said = here("cameras.py", "rig", "--epochs", "1", "--workers", "0")
    assert "within image" in said


def test_losses_in_my_loop(here):
    said = here("losses_in_my_loop.py")
    first, *_, last = re.findall(r"loss (\S+)", said)
    assert float(last) < float(first)


def test_the_notebooks_cells_run_in_turn(place: Path):
    """As plain Python, without Jupyter, on fewer clips: what a cell shows at its end is only evaluated.

    The training has workers, as in a notebook, and no guard as a script has it.
    """
    code = code_of(EXAMPLES / "quickstart.ipynb")
    for long, short in {
        "clips, epochs = 120, 20": "clips, epochs = 16, 1",
        '"emb_quick")': '"emb_quick", workers=0)',
    }.items():
        assert long in code
        code = code.replace(long, short)
    (place / "quickstart.py").write_text(code + "\nprint(len(table), model)\n", "utf-8")
    said = run(place, "quickstart.py")
    assert "16 Model on cpu" in said
