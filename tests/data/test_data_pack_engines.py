"""Workers of a pack end with it, and a death among them is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pack_workers import kills

from avssl.data.pack.engines import in_processes
from avssl.data.pack.media import Item
from avssl.data.pack.part import Part
from avssl.types import UserError

RUN = """
import sys
from pathlib import Path
from pack_workers import Endless
from avssl.data.pack.engines import in_processes
from avssl.data.pack.part import Part
if __name__ == "__main__":
    list(in_processes(Endless(Path(sys.argv[1])), [Part(name, ()) for name in "abc"], 2))
"""


def runs(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_workers_end_with_a_pack_that_is_killed(tmp_path: Path) -> None:
    script, folder = tmp_path / "run.py", tmp_path / "workers"
    script.write_text(RUN)
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, script, folder], env=environment)
    while len(list(folder.iterdir())) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    workers = [int(path.name) for path in folder.iterdir()]
    assert all(map(runs, workers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = 1000
    while left and any(map(runs, workers)):
        time.sleep(0.02)
        left -= 1
    alive = [worker for worker in workers if runs(worker)]
    for worker in alive:
        os.kill(worker, signal.SIGKILL)
    assert not alive


def test_all_parts_that_ran_are_named_when_a_worker_dies(tmp_path: Path) -> None:
    def part(name: str) -> Part:
        return Part(name, (Item(name, str(tmp_path / f"{name}.mp4"), "", "", "", "", 0.0, 1.0, True, True),) * 2)

    parts = [part(name) for name in ("good", "slow", "bad", "never", "nor this")]
    with pytest.raises(UserError, match="a worker died in a part with") as raised:
        list(in_processes(kills, parts, 2))
    told = str(raised.value)
    assert f"{tmp_path}/slow.mp4 and 1 more, or with {tmp_path}/bad.mp4 and 1 more (" in told
    assert all(name not in told for name in ("good", "never", "nor this"))
