"""UCF101: a manifest of a local copy, with the three official folds.

python data_prep/ucf101.py --root DIR [--lists DIR/ucfTrainTestlist] [--out FILE] [--workers N]
    ->   DIR/manifest.parquet with the columns fold1, fold2, fold3 (train, test or ""), and for each fold
         manifest_fold1_train.parquet, manifest_fold1_test.parquet, ... with its rows and its split

You need the official archive ucfTrainTestlist (trainlist01.txt to 03, testlist01.txt to 03, classInd.txt) and the
videos, v_CLASS_gNN_cNN.avi (or any other extension), by class or flat. Few have sound: a usable one needs none.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from common import arguments_of, finish, lines_of, parsed, run, wrong

from avssl.data.official import Clip

FOLDS = (1, 2, 3)
ALLOWED = "classInd.txt, trainlist01.txt to 03 and testlist01.txt to 03, in --lists FOLDER"


def read_lists(folder: Path) -> list[Clip]:
    """The clips of all folds."""
    classes = {line.split()[-1] for _, line in lines_of(folder / "classInd.txt", ALLOWED)}
    splits = defaultdict[str, dict[str, str]](lambda: {f"fold{fold}": "" for fold in FOLDS})
    for fold in FOLDS:
        for split in ("train", "test"):
            file = folder / f"{split}list{fold:02d}.txt"
            for number, line in lines_of(file, ALLOWED):
                path = line.split()[0]
                if str(PurePosixPath(path).parent) not in classes:
                    raise wrong(file, number, path, "CLASS/FILE with a class of classInd.txt")
                splits[path][f"fold{fold}"] = split
    clips = []
    for path, folds in splits.items():
        name = PurePosixPath(path)
        clips.append(Clip((f"{name.parent}/{name.stem}", name.stem), path, (str(name.parent),), "", folds))
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video",))
    parser.add_argument("--lists", type=Path, help="folder of the lists (default: ROOT/ucfTrainTestlist)")
    arguments = parsed(parser)
    clips = read_lists(arguments.lists or arguments.root / "ucfTrainTestlist")
    finish(arguments, clips, groups=[f"fold{fold}" for fold in FOLDS])


if __name__ == "__main__":
    run(main)
