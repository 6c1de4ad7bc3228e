"""What a training shows while it runs."""

from __future__ import annotations

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from avssl import distributed
from avssl.console import console
from avssl.data.source import Found, Source
from avssl.errors import UserError
from avssl.training.checkpoint import Position
from avssl.training.clock import Clock
from avssl.training.collapse import judge
from avssl.training.plan import Plan
from avssl.training.run_log import RunLog

NAMED = 5
"""Files that are left out and shown by name."""


def report_usable(source: Source, root: Path, found: Found, number: int) -> None:
    """Print how many can be used and why the others cannot. Raises UserError where none can."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items()))
    if distributed.is_main():
        left_out = f"{len(found.left_out)} left out{f' ({reasons})' if reasons else ''}"
        console.print(f"{root}: {number} usable, {left_out}", markup=False)
        for row in found.left_out[:NAMED]:
            console.print(f"  left out {row['path']}: {row['reason']}", markup=False)
    if number == 0:
        first = f"; {found.left_out[0]['path']}: {found.left_out[0]['reason']}" if found.left_out else ""
        raise UserError(f"root={root}: has no usable file ({reasons}{first}); allowed: {source.need}")


class TrainingDisplay:
    """A progress bar and the run's log, on the main rank; without a terminal, one line per epoch instead of the bar.

    A warning is shown when it first comes up, and again at the end if it still holds.
    """

    def __init__(self, out: Path, plan: Plan, start: Position, clock: Clock) -> None:
        self._clock = clock
        self._plan, self._first = plan, start.epoch * plan.steps_per_epoch + start.step
        self._log = RunLog(out, self._first) if distributed.is_main() else None
        self._warned: set[str] = set()
        self._said_last: list[str] = []
        self._holds: dict[str, str | None] = {}
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "loss {task.fields[loss]:.4f}  {task.fields[speed]:.0f} clips/s  {task.fields[wait]:.0%} waiting"
            ),
            TimeRemainingColumn(),
            console=console,
            disable=not (distributed.is_main() and console.is_terminal),
        )

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        fields = {"epoch": "-", "loss": float("nan"), "speed": 0.0, "wait": 0.0}
        self._task = self._bar.add_task("train", total=self._clock.total, completed=self._first, **fields)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._log:
            self._log.close()
        for text in filter(None, self._holds.values()):
            if text not in self._said_last:
                _warn(f"still: {text}")

    def log(self, step: int, row: dict[str, float]) -> None:
        """Write the numbers of a logged step."""
        if self._log is None:
            return
        self._log.write(step, row)
        self._warn({"step": float(step), **row})
        of = f"/{self._plan.epochs}" if self._plan.minutes is None else ""
        epoch = f"{int(row['epoch'] - 1e-9) + 1}{of}"
        speed, wait = row["clips_per_s"], row["waiting"]
        self._bar.update(
            self._task, completed=step, total=self._clock.total, epoch=epoch, loss=row["loss"], speed=speed, wait=wait
        )
        if not console.is_terminal and step % self._plan.steps_per_epoch < self._plan.log_every:
            console.print(f"epoch {epoch}  loss {row['loss']:.4f}  {speed:.0f} clips/s  {wait:.0%} waiting", style=None)

    def _warn(self, row: dict[str, float]) -> None:
        found = judge(row, self._clock.total)
        self._holds |= found
        new = {key: text for key, text in found.items() if text and key not in self._warned}
        self._warned |= set(new)
        self._said_last = list(new.values())
        for text in new.values():
            _warn(f"step {row['step']:.0f}: {text}")


def _warn(text: str) -> None:
    console.print(f"warning: {text}", style="yellow", markup=False)
