from __future__ import annotations

from pathlib import Path

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
    assert page.count("data:image/png;base64,") == 2
    assert "a &lt;title&gt;" in page
    assert "cpu &amp; more" in page
    assert "http" not in page
