"""AVE (audio-visual events): a manifest of a local copy, with the official train, val and test part.

python data_prep/ave.py --root DIR [--lists DIR] [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, manifest_train.parquet, manifest_val.parquet and manifest_test.parquet

You need the authors' archive: trainSet.txt, valSet.txt and testSet.txt with CATEGORY&VIDEO-ID&QUALITY&START&END in each
line (in the folder --lists; default: ROOT), and the 10 s clips, VIDEO-ID.mp4, anywhere below DIR.

Some videos are listed once for each of their events: they have one row, with the first label, and all of them in the
column `labels`, joined by ";"; where the lists put one into two parts, it is in the one that is not trained on.
"""

from __future__ import annotations

from pathlib import Path

from common import arguments_of, finish, lines_of, parsed, run, wrong

from avssl.data.official import Clip

SPLITS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
LINE = "CATEGORY&VIDEO-ID&QUALITY&START&END"


def read_list(file: Path, split: str) -> list[Clip]:
    """The clips of one list."""
    clips = []
    for number, line in lines_of(file, f"{', '.join(SPLITS.values())} of the archive, in --lists FOLDER"):
        fields = line.split("&")
        if len(fields) != 5:
            raise wrong(file, number, line, LINE)
        if fields[:2] != ["Category", "VideoID"]:
            label, video = fields[0].strip(), fields[1].strip()
            clips.append(Clip((video, line), f"AVE/{video}.mp4", (label,), split, {"youtube_id": video}))
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video", "audio"))
    parser.add_argument("--lists", type=Path, help="folder of the lists (default: ROOT)")
    arguments = parsed(parser)
    folder = arguments.lists or arguments.root
    finish(arguments, [clip for split, name in SPLITS.items() for clip in read_list(folder / name, split)])


if __name__ == "__main__":
    run(main)
