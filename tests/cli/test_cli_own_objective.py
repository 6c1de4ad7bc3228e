"""A loss in one file, as the README shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


def test_the_readmes_objective_trains(run, tmp_path: Path, tiny_videos: Path, monkeypatch: pytest.MonkeyPatch):
    readme = (REPO / "README.md").read_text()
    code = re.search(r"```python\n# my_loss.py\n(.*?)```", readme, re.DOTALL)[1]
    (tmp_path / "my_loss.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    done = run(
        "train",
        "experiment=smoke/cpu",
        "branches=tiny",
        f"data.root={tiny_videos}",
        "objective=custom",
        "objective._target_=my_loss.MyLoss",
    )
    assert done.status == 0, done.err
    assert (tmp_path / "runs" / "custom" / "report.html").is_file()
