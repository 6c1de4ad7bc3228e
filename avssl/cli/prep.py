"""avssl-prep: get a folder ready; `scan` writes its manifest, `clocks` tells whether a rig's cameras agree."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from avssl.cli.assemble import console, scanning
from avssl.cli.common import command
from avssl.data.clocks import ClockOffset, central_camera, clock_offset, motion_energy
from avssl.data.rig import takes
from avssl.data.scan import scan
from avssl.functional.checks import check
from avssl.types import UserError

NOTABLE_S, SURE = 0.05, 0.4
"""Offsets and agreements from which one can speak of a clock that is off."""


def main() -> None:
    """Entry point: the first word names the task, the rest are overrides."""
    if len(sys.argv) > 1 and sys.argv[1].isidentifier():
        sys.argv[1] = f"task={sys.argv[1]}"
    _prep()


@command("prep")
def _prep(config: DictConfig) -> None:
    tasks = {"scan": _scan, "clocks": _clocks}
    if config.task not in tasks:
        raise UserError(f"task={config.task}; allowed: {', '.join(tasks)}")
    tasks[config.task](config)


def _scan(config: DictConfig) -> None:
    if unknown := set(config.require) - {"audio", "video"}:
        raise UserError(f"require={','.join(map(str, unknown))}; allowed: audio, video")
    out = Path(config.out).expanduser()
    if out.suffix != ".parquet":
        raise UserError(f"out={out}; allowed: a file that ends in .parquet")
    root = Path(config.root).expanduser()
    with scanning(root) as on_file:
        need = {"require": list(config.require), "min_duration_s": config.min_duration_s}
        manifest = scan(root, **need, workers=config.workers, on_file=on_file)
    manifest.write(out)
    table = Table("status", "files", box=None)
    for status, count in Counter(manifest.column("status")).most_common():
        table.add_row(status, str(count))
    console.print(table)
    console.print(f"{len(manifest)} files of {root} listed in {out}")


def _clocks(config: DictConfig) -> None:
    for key in ("max_offset_s", "first_s"):
        check(key, config[key], config[key] > 0, "above 0 s")
    root = Path(config.root).expanduser()
    for take, paths in sorted(takes(root).items()):
        motions = {name: motion_energy(root / path, config.first_s) for name, path in sorted(paths.items())}
        offsets = {
            (one, other): clock_offset(motions[one], motions[other], config.max_offset_s)
            for one, other in combinations(motions, 2)
        }
        _show(take, offsets)


def _show(take: str, offsets: dict[tuple[str, str], ClockOffset]) -> None:
    """Every pair, then the clocks that are off and how to say so in training."""
    table = Table("camera", "against", "ahead s", "agreement", title=take or None, box=None)
    for (one, other), found in offsets.items():
        table.add_row(other, one, f"{found.ahead_s:+.3f}", f"{found.agreement:.2f}")
    console.print(table)
    if not offsets:
        return
    reference, ahead = central_camera(offsets)
    sure = {camera: found.ahead_s for camera, found in ahead.items() if found.agreement >= SURE}
    off = {camera: seconds for camera, seconds in sure.items() if abs(seconds) >= NOTABLE_S}
    for camera, seconds in off.items():
        words = "ahead of" if seconds > 0 else "behind"
        console.print(f"{camera}: its clock is {abs(seconds):.2f} s {words} {reference}'s")
    if off:
        setting = ", ".join(f"{camera}: {seconds:.2f}" for camera, seconds in off.items())
        console.print(f"to correct it, train with 'data.source.offsets_s={{{setting}}}'", markup=False)
    elif sure:
        console.print(f"{', '.join(sure)}: within {NOTABLE_S:g} s of {reference}'s clock")
    if doubtful := [camera for camera in ahead if camera not in sure]:
        console.print(f"{', '.join(doubtful)}: too little moves there and in {reference} at the same time to be sure")


if __name__ == "__main__":
    main()
