"""How many clips per second and core each way of reading them gives, measured side by side in one run.

    python benchmarks/data.py --cache FOLDER [--seconds 150] [--rows TEXT]

A clip is 8 frames at 16 fps with a short side of 128 pixels and 2 s of sound at 24 kHz, at a random place of a file.
All rows take turns, so that what else the machine does hits them alike. Decoding and scanning are measured by the time
that a core worked for it, the DataLoader by the clock on the wall. A row's ratio is to raw `av` on the same files in
the same round; that of the DataLoader with two workers is to one worker. Prints a Markdown table: median
(lowest-highest) over rounds. Generated files are made on the first run, in some minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from data_decoding import Row, rows_of
from data_files import generated
from data_stream import loader_rows, pack_rows, scan_rows

ROUNDS = 5


def all_rows(cache: Path, shared: Path, length_s: int) -> list[Row]:
    rows = list[Row]()
    for height in (360, 720):
        rows += rows_of([generated(cache / "videos", height, length_s)], f"{height}p, GOP 250")
    small = generated(cache / "videos", 360, length_s)
    rows += [*pack_rows(cache, small, "360p, GOP 250: av"), *loader_rows(cache, small), *scan_rows(cache)]
    for folder in ("natural", "grid"):
        files = sorted((shared / "data" / folder).glob("*.mp*"))
        if not files:
            print(f"{folder}: no rows, {shared / 'data' / folder} is not there (AVSSL_SHARED)")
        else:
            rows += rows_of(files, f"{folder} files")
    return rows


def measured(rows: Sequence[Row], seconds: float) -> dict[str, list[float]]:
    """The rate of each row in each round."""
    each = seconds / ROUNDS / len(rows)
    rates: dict[str, list[float]] = {row.name: [] for row in rows}
    for number in range(ROUNDS):
        for row in rows if number % 2 else reversed(rows):
            rates[row.name].append(row.measure(each, number))
    return rates


def table(rows: Sequence[Row], rates: dict[str, list[float]]) -> str:
    lines = ["| | clips/s | ratio to av |", "|---|---|---|"]
    for row in rows:
        own = rates[row.name]
        ratio = "" if row.base is None else _spread([a / b for a, b in zip(own, rates[row.base], strict=True)], 2)
        lines.append(f"| {row.name} | {_spread(own, 1)} | {ratio} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main() -> None:
    repo = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder of the generated files, made on the first run"
    )
    parser.add_argument("--seconds", type=float, default=150, help="of measuring, in all")
    parser.add_argument("--length", type=int, default=30, help="of a generated file, in s")
    parser.add_argument("--rows", default="", help="measure only rows with this in their name")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shared = Path(os.environ.get("AVSSL_SHARED", repo.parent / "shared"))
    rows = [row for row in all_rows(arguments.cache, shared, arguments.length) if arguments.rows in row.name]
    print(table(rows, measured(rows, arguments.seconds)))


if __name__ == "__main__":
    main()
