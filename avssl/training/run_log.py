"""What a run writes down while it trains: metrics.csv and, where TensorBoard is installed, its events."""

from __future__ import annotations

import csv
import io
import logging
from functools import cache
from pathlib import Path
from typing import Any

from avssl.files import write_text

log = logging.getLogger(__name__)


class RunLog:
    """One row of numbers per logged step; rows after `first_step`, left by a run that was cut off, are dropped."""

    def __init__(self, out: Path, first_step: int = 0) -> None:
        self.file = out / "metrics.csv"
        self._rows = [row for row in read_metrics(self.file) if row["step"] <= first_step]
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        self._board = _board(out / "tensorboard", first_step + 1)
        if self._rows:
            self._rewrite()

    def write(self, step: int, row: dict[str, float]) -> None:
        row = {"step": float(step), **row}
        self._rows.append(row)
        if set(row) - set(self._columns):
            self._columns += [name for name in row if name not in self._columns]
            self._rewrite()
        else:
            with self.file.open("a", newline="") as handle:
                csv.DictWriter(handle, self._columns).writerow(row)
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        if self._board:
            self._board.close()

    def _rewrite(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self.file, table.getvalue())


def _board(folder: Path, first_step: int) -> Any | None:
    """A writer of TensorBoard events; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _say_once("metrics go to metrics.csv; for TensorBoard, too, install avssl[tensorboard]")
        return None
    return SummaryWriter(folder, purge_step=first_step)


@cache
def _say_once(message: str) -> None:
    log.info(message)


def read_metrics(file: Path) -> list[dict[str, float]]:
    """Rows of a metrics.csv, empty cells left out; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(newline="") as handle:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]
