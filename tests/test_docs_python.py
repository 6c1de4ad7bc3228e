"""The Python of README and docs/python.md runs, statement by statement, on small videos and with small encoders."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPO = Path(__file__).parents[1]
README, PAGE = (REPO / "README.md").read_text(), (REPO / "docs" / "python.md").read_text()
SMALL = {
    'objective="er")': 'objective="er", overrides=SMALL, epochs=1)',
    '["data.size=64"]': "SMALL",
    "minutes=10": "epochs=1",
    "epochs=30": 'epochs=1, workers=0, accelerator="cpu"',
    'out="emb")': 'out="emb", workers=0)',
    '"torchvision/r3d_18"': '{"name": "r2plus1d", "depth": 10, "width": 2}',
    '"conv2d10"': '{"name": "conv2d10", "width": 2}',
    "size=64": "size=32",
    "~/videos": "videos",
}
"""What makes it small, and takes no process beside this one."""
NOT_HERE = ("cuda", "push_to_hub", "AVID.pth.tar", "image=pixels")


def blocks(text: str) -> list[str]:
    return [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "# my_loss.py" not in block]


def cells(text: str) -> list[str]:
    """The Python column of the README's first table."""
    rows = re.findall(r"^\| (?:train|one file|a folder|measure|search) \|.*\| (.*) \|$", text, re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def statements(code: str) -> Iterator[str]:
    for node in ast.parse(code).body:
        yield ast.get_source_segment(code, node) or ""


@pytest.fixture
def names(tiny_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the pages take for granted, in an empty folder beside `videos`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").symlink_to(tiny_videos)
    some = sorted(tiny_videos.rglob("*.mp4"))
    for file, name in zip(some, ("clip.mp4", "a.mp4", "b.mp4", "song.wav"), strict=False):
        shutil.copy(file, tmp_path / name)
    random = np.random.default_rng(0)
    return {
        "__name__": "__main__",
        "SMALL": ["branches=tiny", "data.size=32", "data.workers=0", "trainer.accelerator=cpu"],
        "wave": random.standard_normal(3 * 44_100).astype(np.float32) / 4,
        "other": random.integers(-9_000, 9_000, (2, 3 * 16_000), np.int16),
        "frames": random.integers(0, 255, (75, 36, 48, 3), np.uint8),
    }


def run(code: str, names: dict[str, Any]) -> None:
    for long, short in SMALL.items():
        code = code.replace(long, short)
    for statement in statements(code):
        if not any(word in statement for word in NOT_HERE):
            exec(compile(statement, "page", "exec"), names)


def test_the_readmes_table_and_its_first_script(names: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    run("import avssl", names)
    found = cells(README)
    assert len(found) == 6
    for code in found:
        run(code, names)
    assert names["z"]["audio"].shape == (1, 128)
    shutil.rmtree("runs")
    capsys.readouterr()
    for block in blocks(README):
        run(block, names)
    assert "tensor([[" in capsys.readouterr().out
    assert Path("export/README.md").is_file()


def test_every_block_of_the_page(names: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    found = blocks(PAGE)
    assert len(found) >= 7
    for block in found:
        run(block, names)
    assert len(names["table"]) == 24
    assert "torch.Size([1, 128])" in capsys.readouterr().out


@pytest.mark.parametrize("text", [README, PAGE], ids=["README.md", "docs/python.md"])
def test_a_training_without_hydra_takes_at_most_12_lines(text: str):
    (script,) = (block for block in blocks(text) if "avssl.fit" in block)
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) <= 12
    assert len([line for line in lines if line.startswith(("import", "from"))]) <= 4
    assert max(map(len, lines)) <= 120
