"""HMDB51: a manifest of a local copy, with the three official folds.

python data_prep/hmdb51.py --root DIR [--lists DIR/testTrainMulti_7030_splits] [--out FILE] [--workers N]
    ->   DIR/manifest.parquet with the columns fold1, fold2, fold3 (train, test or ""), and for each fold
         manifest_fold1_train.parquet, manifest_fold1_test.parquet, ... with its rows and its split

You need the official archive testTrainMulti_7030_splits (CLASS_test_split1.txt to 3; 1 train, 2 test, 0 neither) and
the videos, NAME.avi (or any other extension), by class or flat. They have no sound: a usable one needs none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from common import arguments_of, finish, lines_of, parsed, run, wrong

from avssl.data.official import Clip, UserError

FOLDS = (1, 2, 3)
SPLITS = {"0": "", "1": "train", "2": "test"}
ALLOWED = "CLASS_test_split1.txt to 3 for each class, in --lists FOLDER"


def read_lists(folder: Path) -> list[Clip]:
    """The clips of all folds."""
    matches = [re.fullmatch(r"(.+)_test_split[123]\.txt", file.name) for file in folder.glob("*.txt")]
    classes = sorted({match[1] for match in matches if match})
    if not classes:
        raise UserError(f"{folder}: no such lists; allowed: {ALLOWED}")
    splits = defaultdict[tuple[str, str], dict[str, str]](lambda: {f"fold{fold}": "" for fold in FOLDS})
    for label in classes:
        for fold in FOLDS:
            file = folder / f"{label}_test_split{fold}.txt"
            for number, line in lines_of(file, ALLOWED):
                name, _, part = line.rpartition(" ")
                if part not in SPLITS:
                    raise wrong(file, number, line, "NAME.avi 0, 1 or 2")
                splits[label, name.strip()][f"fold{fold}"] = SPLITS[part]
    clips = []
    for (label, name), folds in splits.items():
        stem = PurePosixPath(name).stem
        clips.append(Clip((f"{label}/{stem}", stem), f"{label}/{name}", (label,), "", folds))
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video",))
    parser.add_argument("--lists", type=Path, help="folder of the lists (default: ROOT/testTrainMulti_7030_splits)")
    arguments = parsed(parser)
    clips = read_lists(arguments.lists or arguments.root / "testTrainMulti_7030_splits")
    finish(arguments, clips, groups=[f"fold{fold}" for fold in FOLDS])


if __name__ == "__main__":
    run(main)
