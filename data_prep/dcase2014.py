"""DCASE2014 (acoustic scenes): a manifest of a local copy, with 100 recordings to train on and 100 to test on.

python data_prep/dcase2014.py --root DIR [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, manifest_train.parquet and manifest_test.parquet

You need the two archives of the scene classification task of the first DCASE challenge (of 2013; papers that train on
it call it DCASE2014): scenes_stereo, the public development set, and scenes_stereo_testset, the private set published
later. Both hold SCENE01.wav to SCENE10.wav of ten scenes, 30 s each, under the same names, so keep the two in folders
of their own below DIR: scenes_stereo or train, and scenes_stereo_testset or test.
"""

from __future__ import annotations

from common import arguments_of, finish, parsed, run

from avssl.data.official import Clip

SCENES = (
    *("bus", "busystreet", "office", "openairmarket", "park", "quietstreet", "restaurant", "supermarket"),
    *("tube", "tubestation"),
)
FOLDERS = {"train": ("scenes_stereo", "train"), "test": ("scenes_stereo_testset", "test")}


def official_clips() -> list[Clip]:
    """The recordings of both parts, which need no list: their names are known."""
    return [
        Clip(
            tuple(f"{folder}/{scene}{n:02d}" for folder in folders), f"{folders[0]}/{scene}{n:02d}.wav", (scene,), split
        )
        for split, folders in FOLDERS.items()
        for scene in SCENES
        for n in range(1, 11)
    ]


def main() -> None:
    finish(parsed(arguments_of(__doc__, ("audio",))), official_clips())


if __name__ == "__main__":
    run(main)
