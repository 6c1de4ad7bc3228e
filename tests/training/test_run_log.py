from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from avssl.training.report import write_report
from avssl.training.run_log import RunLog, read_metrics


def test_a_resumed_log_drops_what_was_lost_and_goes_on(tmp_path: Path):
    log = RunLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, {"epoch": step / 10, "loss": 1 / step})
    log.close()
    log = RunLog(tmp_path, first_step=20)
    log.write(30, {"epoch": 3.0, "loss": 9.0, "entropy": 2.0})
    log.close()
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert rows[2] == {"step": 30, "epoch": 3.0, "loss": 9.0, "entropy": 2.0}
    assert "entropy" not in rows[0]
    RunLog(tmp_path, first_step=30).close()  # a run that is finished, with columns that came later
    assert read_metrics(tmp_path / "metrics.csv") == rows


def test_the_report_stands_alone(tmp_path: Path):
    log = RunLog(tmp_path)
    for step in range(1, 5):
        log.write(step, {"epoch": step / 4, "loss": 1 / step, "video>audio": 2.0 / step, "audio>video": 1.0})
    log.close()
    page = write_report(tmp_path, "a <title>", {"device": "cpu & more"}, 4).read_text()
    assert page.count("<svg ") == 2
    assert "a &lt;title&gt;" in page
    assert "cpu &amp; more" in page
    assert "http" not in page


def test_without_tensorboard_the_table_is_written_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    caplog.set_level(logging.INFO, "avssl")
    for name in ("a", "b"):
        log = RunLog(tmp_path / name)
        log.write(1, {"epoch": 1.0, "loss": 2.0})
        log.close()
        assert read_metrics(tmp_path / name / "metrics.csv") == [{"step": 1.0, "epoch": 1.0, "loss": 2.0}]
        assert not (tmp_path / name / "tensorboard").exists()
    said = "metrics go to metrics.csv; for TensorBoard, too, install avssl[tensorboard]"
    assert [record.message for record in caplog.records] == [said]
