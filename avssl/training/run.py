"""A training's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avssl.models.locate import locate
from avssl.training.run_log import read_metrics

MANIFEST, REPORT, METRICS = "manifest.parquet", "report.html", "metrics.csv"


@dataclass(frozen=True)
class Run:
    """What `avssl.train` and `avssl.fit` give; it stands for its folder wherever a path does (`avssl.load(run)`).

    >>> from pathlib import Path
    >>> run = Run(Path("runs/er"))
    >>> print(run.report)
    runs/er/report.html
    """

    folder: Path
    finished: bool = True
    """False where a signal ended the training before; resume="auto" goes on."""

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The newest one's folder. UserError: there is none."""
        return locate(self.folder)

    @property
    def report(self) -> Path:
        return self.folder / REPORT

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv: "step", "epoch", "loss", the objective's terms, diagnostics, speed."""
        return read_metrics(self.folder / METRICS)
