"""VGGSound: a manifest of a local copy, with the official train and test part.

python data_prep/vggsound.py --root DIR [--list DIR/vggsound.csv] [--out FILE] [--workers N]
    ->   DIR/manifest.parquet, manifest_train.parquet and manifest_test.parquet

You need the official list vggsound.csv (no header; YouTube id, start in s, label, train or test) and the 10 s clips,
anywhere below DIR, named by id and start: ID_000030.mp4, ID_30.mp4, ID_000030_000040.mp4, ID_30000_40000.mp4 or ID.mp4.
Columns youtube_id and clip_start_s follow the manifest's own.
"""

from __future__ import annotations

from pathlib import Path

from common import arguments_of, fields_of, finish, lines_of, parsed, run, wrong

from avssl.data.official import Clip

ALLOWED = "vggsound.csv with ID,START,LABEL,train or test in each line"


def read_list(file: Path) -> list[Clip]:
    """The clips of the official list."""
    clips = []
    for number, line in lines_of(file, ALLOWED):
        try:
            video, seconds, label, split = fields_of(line)
            start = int(float(seconds))
        except ValueError:
            raise wrong(file, number, line, "ID,START,LABEL,SPLIT") from None
        if split not in ("train", "test"):
            raise wrong(file, number, split, "train, test")
        times = f"{start:06d}", f"{start}", f"{start:06d}_{start + 10:06d}", f"{1000 * start}_{1000 * (start + 10)}"
        names = (*(f"{video}_{time}" for time in times), video)
        more = {"youtube_id": video, "clip_start_s": start}
        clips.append(Clip(names, f"{names[0]}.mp4", (label,), split, more))
    return clips


def main() -> None:
    parser = arguments_of(__doc__, ("video", "audio"))
    parser.add_argument("--list", type=Path, help="official list (default: ROOT/vggsound.csv)")
    arguments = parsed(parser)
    finish(arguments, read_list(arguments.list or arguments.root / "vggsound.csv"))


if __name__ == "__main__":
    run(main)
