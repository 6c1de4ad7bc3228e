"""Kinetics-Sounds: the clips of Kinetics-400 whose class can be both seen and heard, as a manifest of a local copy.

python data_prep/kinetics_sounds.py --root DIR --lists train.csv val.csv test.csv [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, and manifest_train.parquet, manifest_val.parquet, ... with the rows of a split

You need what data_prep/kinetics.py needs: the official lists of Kinetics-400 and its clips, all or those of these
classes. Arandjelovic and Zisserman (2017) chose 34 classes of an early Kinetics; some were renamed or dropped before
its release, and the 32 below are left. Splits are those of Kinetics-400. Clips that a list has no label for are left
out, and counted.
"""

from __future__ import annotations

from pathlib import Path

from common import arguments_of, finish, parsed, run
from kinetics import read_lists

from avssl.data.official import UserError

CLASSES = (
    *("blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing"),
    *("mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet"),
    *("playing drums", "playing guitar", "playing harmonica", "playing keyboard", "playing organ", "playing piano"),
    *("playing saxophone", "playing trombone", "playing trumpet", "playing violin", "playing xylophone"),
    *("ripping paper", "shoveling snow", "shuffling cards", "singing", "stomping grapes", "strumming guitar"),
    *("tap dancing", "tapping guitar", "tapping pen", "tickling"),
)


def main() -> None:
    parser = arguments_of(__doc__, ("video", "audio"))
    parser.add_argument("--lists", type=Path, nargs="+", required=True, help="official CSVs of Kinetics-400")
    arguments = parsed(parser)
    listed = read_lists(arguments.lists, 400)
    clips = [clip for clip in listed if set(clip.labels) & set(CLASSES)]
    if lacking := set(CLASSES) - {label for clip in clips for label in clip.labels}:
        raise UserError(f"--lists {arguments.lists[0]}: no clip of {min(lacking)!r}; allowed: lists of Kinetics-400")
    if unlabelled := sum(not clip.labels for clip in listed):
        print(f"{unlabelled} clips have no label in the lists and are left out")
    finish(arguments, clips)


if __name__ == "__main__":
    run(main)
