"""ESC-50 or ESC-10 (environmental sounds): a manifest of a local copy, with the five official folds.

python data_prep/esc.py --edition 50|10 --root DIR [--csv DIR/meta/esc50.csv] [--out FILE] [--workers N]
    ->   DIR/manifest.parquet with the column fold, 1 to 5

You need the authors' archive: the recordings of 5 s, FOLD-CLIP-TAKE-TARGET.wav (or .ogg), anywhere below DIR, and the
table meta/esc50.csv. Without the table folds come from the names, and labels from the target in the name or, as in
the separate archive of ESC-10, from the folder ("001 - Dog bark" is Dog bark); what is missing can then be counted,
but not named. ESC-10 is also the part of ESC-50 that the table marks.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from common import arguments_of, finish, parsed, run, table_of, wrong

from avssl.data.manifest import label_of
from avssl.data.official import Clip, UserError
from avssl.data.scan import media_files

FOLDS, PER_CLASS_AND_FOLD = range(1, 6), 8
CLASSES = (  # by target
    *("dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow"),
    *("rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds"),
    *("water_drops", "wind", "pouring_water", "toilet_flush", "thunderstorm"),
    *("crying_baby", "sneezing", "clapping", "breathing", "coughing"),
    *("footsteps", "laughing", "brushing_teeth", "snoring", "drinking_sipping"),
    *("door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening"),
    *("washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking"),
    *("helicopter", "chainsaw", "siren", "car_horn", "engine", "train", "church_bells", "airplane", "fireworks"),
    "hand_saw",
)
ESC10 = {0, 1, 10, 11, 12, 20, 21, 38, 40, 41}
NAME = re.compile(r"([1-5])-\d+-[A-Z](?:-(\d+))?")


def from_table(file: Path, edition: int) -> list[Clip]:
    """The clips of meta/esc50.csv."""
    clips = []
    columns = ("filename", "fold", "category", "esc10")
    for number, row in table_of(file, columns, f"meta/esc50.csv with the columns {', '.join(columns)}"):
        stem = PurePosixPath(row["filename"]).stem
        if not NAME.fullmatch(stem) or row["fold"] != stem[0]:
            raise wrong(file, number, row["filename"], "FOLD-CLIP-TAKE-TARGET.wav of that fold")
        if edition == 50 or row["esc10"].lower() == "true":
            names = stem, stem.rpartition("-")[0]  # ESC-10's own archive has no target in its names
            clips.append(Clip(names, f"audio/{row['filename']}", (row["category"],), "", {"fold": int(row["fold"])}))
    return clips


def from_names(root: Path, edition: int) -> list[Clip]:
    """A clip for each recording in the copy. UserError: a name or a folder that tells no label, or too many labels."""
    clips = []
    for path in sorted(media_files(root)):
        stem = PurePosixPath(path).stem
        if not (match := NAME.fullmatch(stem)):
            continue
        if match[2] is not None and edition == 10 and int(match[2]) not in ESC10:
            continue
        label = re.sub(r"^\d+ - ", "", label_of(path)) if match[2] is None else CLASSES[int(match[2])]
        if not label:
            raise UserError(f"{root / path}: no label; allowed: folders of classes, targets in names, or --csv")
        clips.append(Clip((stem,), path, (label,), "", {"fold": int(match[1])}))
    labels = {label for clip in clips for label in clip.labels}
    if not 0 < len(labels) <= edition:
        raise UserError(f"--root {root}: recordings of {len(labels)} classes; allowed: the {edition} of ESC-{edition}")
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("audio",))
    parser.add_argument("--edition", type=int, choices=(50, 10), required=True, help="number of classes")
    parser.add_argument(
        "--csv", type=Path, help="table of the recordings (default: ROOT/meta/esc50.csv, if it is there)"
    )
    arguments = parsed(parser)
    edition, table = arguments.edition, arguments.csv or arguments.root / "meta" / "esc50.csv"
    named = arguments.csv is not None or table.is_file()
    clips = from_table(table, edition) if named else from_names(arguments.root, edition)
    expected = {} if named else {str(fold): PER_CLASS_AND_FOLD * edition for fold in FOLDS}
    finish(arguments, clips, groups=["fold"], parts=False, expected=expected)


if __name__ == "__main__":
    run(main)
