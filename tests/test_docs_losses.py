"""The scripts of docs/losses.md run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "losses.md").read_text()
SCRIPTS = re.findall(r"<!-- run( torchrun)? -->\n```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("ranks", "script"), SCRIPTS, ids=range(len(SCRIPTS)))
def test_the_scripts_of_the_page_run(ranks: str, script: str, tmp_path: Path):
    file = tmp_path / "script.py"
    file.write_text(script)
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if ranks else []
    command = [sys.executable, *several, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 1 + len(several[-1:])


def test_there_are_scripts():
    assert len(SCRIPTS) == 4
