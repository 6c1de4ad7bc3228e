"""avssl-prep clocks: whether the clocks of a rig's cameras agree."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

from avssl.cli.command import FOLDER, Config, PathKey, command
from avssl.errors import check

NOTABLE_S, SURE = 0.05, 0.4
"""Offsets and agreements from which one can speak of a clock that is off."""


def check_times(config: Config) -> None:
    for key in ("max_offset_s", "first_s"):
        check(key, config[key], isinstance(config[key], int | float) and config[key] > 0, "above 0 s")


@command("prep/clocks", paths=(PathKey("root", FOLDER, "FOLDER"),), check=check_times)
def main(config: Config) -> None:
    from avssl.data.clocks import clock_offset, motion_energy
    from avssl.data.rig import takes

    root = Path(config.root).expanduser()
    for take, paths in sorted(takes(root).items()):
        motions = {name: motion_energy(root / path, config.first_s) for name, path in sorted(paths.items())}
        offsets = {
            (one, other): clock_offset(motions[one], motions[other], config.max_offset_s)
            for one, other in combinations(motions, 2)
        }
        _show(take, offsets)


def _show(take: str, offsets: dict[tuple[str, str], Any]) -> None:
    """Every pair, then the clocks that are off and how to say so in training."""
    from rich.table import Table

    from avssl.console import console
    from avssl.data.clocks import central_camera

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
