"""AudioSet: a manifest of a local copy, with its three official parts and all labels of a clip.

python data_prep/audioset.py --root DIR --lists balanced_train_segments.csv eval_segments.csv
                             --labels class_labels_indices.csv [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, and manifest_balanced_train.parquet, manifest_eval.parquet, ... with the rows of a part

You need Google's lists under their own names, balanced_train_segments.csv, unbalanced_train_segments.csv and
eval_segments.csv (one and more), the table class_labels_indices.csv, and the 10 s clips, anywhere below DIR, named by
the YouTube id alone or with the start, and the end, in s or ms: ID.mp4, YID.wav, ID_000030_000040.mp4, ID_30.000.flac,
ID_30000_40000.mkv, and so on. Copies of sound alone: --require audio.

A clip has several labels: `label` is the list's first (the order says nothing), the column `labels` has all, joined by
";". Columns youtube_id and clip_start_s follow the manifest's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from common import arguments_of, fields_of, finish, lines_of, parsed, run, table_of, wrong

from avssl.data.official import Clip, UserError

PARTS = ("balanced_train", "unbalanced_train", "eval")
ALLOWED = f"{', '.join(f'{part}_segments.csv' for part in PARTS)}, as published"


def read_labels(file: Path) -> dict[str, str]:
    """Name by machine id of each class."""
    allowed = "class_labels_indices.csv with the columns index, mid and display_name"
    return {row["mid"]: row["display_name"] for _, row in table_of(file, ("mid", "display_name"), allowed)}


def names_of(video: str, start_s: float, end_s: float) -> tuple[str, ...]:
    """What the file of a segment may be called."""
    start, end, ms = int(start_s), int(end_s), (round(1000 * start_s), round(1000 * end_s))
    spans = [f"{start:06d}_{end:06d}", f"{ms[0]}_{ms[1]}", f"{start}_{end}", f"{start_s:.3f}_{end_s:.3f}"]
    starts = [f"{start:06d}", f"{ms[0]}", f"{start}", f"{start_s:.3f}"]
    stems = [f"{video}_{times}" for times in (*spans, *starts)] + [video]
    return *stems, *(f"Y{stem}" for stem in stems)


def read_segments(file: Path, labels: Mapping[str, str]) -> list[Clip]:
    """The clips of one list. UserError: another name or format, or fewer rows than its second line says."""
    part = file.name.removesuffix("_segments.csv")
    if part not in PARTS:
        raise UserError(f"--lists {file}; allowed: {ALLOWED}")
    clips, announced = [], None
    for number, line in lines_of(file, ALLOWED):
        if line.startswith("#"):
            said = re.search(r"num_segs=(\d+)", line)
            announced = int(said[1]) if said else announced
            continue
        try:
            video, start, end, mids = fields_of(line)
            names = names_of(video, float(start), float(end))
            own = tuple(labels[mid.strip()] for mid in mids.split(","))
        except KeyError as error:
            raise wrong(file, number, error.args[0], "the classes of --labels") from None
        except ValueError:
            raise wrong(file, number, line, 'ID, START, END, "LABEL,LABEL,..."') from None
        more = {"youtube_id": video, "clip_start_s": float(start)}
        clips.append(Clip(names, f"{part}/{names[0]}.mp4", own, part, more))
    if announced not in (None, len(clips)):
        raise UserError(f"{file}: {len(clips)} segments; allowed: the {announced} that num_segs in its head promises")
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video", "audio"))
    parser.add_argument("--lists", type=Path, nargs="+", required=True, help="official lists of segments")
    parser.add_argument("--labels", type=Path, required=True, help="class_labels_indices.csv")
    arguments = parsed(parser)
    labels = read_labels(arguments.labels)
    finish(arguments, [clip for file in arguments.lists for clip in read_segments(file, labels)])


if __name__ == "__main__":
    run(main)
