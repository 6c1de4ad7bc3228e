"""Kinetics-400, -600 or -700: a manifest of a local copy, with the official splits.

python data_prep/kinetics.py --edition 400 --root DIR --lists train.csv val.csv test.csv [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, and manifest_train.parquet, manifest_val.parquet, ... with the rows of a split

You need the official annotations, one CSV per split with the columns label, youtube_id, time_start, time_end, split
(they come with the data set, from DeepMind or the CVDF mirror; a test list without labels will do), and the clips,
YOUTUBE-ID_START_END.mp4 with times of six digits in s, anywhere below DIR: by split and label, by label, or flat.
The label is the list's, however the folder is spelled. Columns youtube_id and clip_start_s follow the manifest's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common import arguments_of, finish, parsed, run, table_of, wrong

from avssl.data.official import Clip, UserError

SPLITS = {"validate": "val", "validation": "val"}
ALLOWED = "a CSV with the columns label, youtube_id, time_start, time_end and split"


def read_list(file: Path) -> list[Clip]:
    """The clips of one official CSV, whose column label may be absent."""
    clips = []
    for number, row in table_of(file, ("youtube_id", "time_start", "time_end", "split"), ALLOWED):
        try:
            start, end = int(float(row["time_start"])), int(float(row["time_end"]))
        except ValueError:
            times = f"{row['time_start']}, {row['time_end']}"
            raise wrong(file, number, times, "times in s") from None
        video, split = row["youtube_id"], SPLITS.get(row["split"], row["split"])
        labels = tuple(filter(None, [row.get("label", "").strip()]))
        names = (f"{video}_{start:06d}_{end:06d}", f"{video}_{start}_{end}")
        place = "/".join([split, *(label.replace("/", "_") for label in labels), f"{names[0]}.mp4"])
        clips.append(Clip(names, place, labels, split, {"youtube_id": video, "clip_start_s": start}))
    return clips


def read_lists(files: Sequence[Path], edition: int) -> list[Clip]:
    """The clips of all lists. UserError: they have more labels than the edition."""
    clips = [clip for file in files for clip in read_list(file)]
    labels = {label for clip in clips for label in clip.labels}
    if len(labels) > edition:
        raise UserError(
            f"--lists {files[0]}: {len(labels)} labels in all; allowed: the {edition} of --edition {edition}"
        )
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video", "audio"))
    parser.add_argument("--edition", type=int, choices=(400, 600, 700), required=True, help="number of classes")
    parser.add_argument("--lists", type=Path, nargs="+", required=True, help="official CSVs, one for each split")
    arguments = parsed(parser)
    finish(arguments, read_lists(arguments.lists, arguments.edition))


if __name__ == "__main__":
    run(main)
