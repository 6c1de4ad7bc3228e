"""A rig of four synchronised cameras (video.avi for each) as FOLDER/CAMERA/FILE.mkv that training reads quickly.

python data_prep/rig4.py [--source DIR] [--out DIR] [--short-side 128] [--ahead CAMERA=S ...]
    ->   OUT/{camera}/{file}.mkv

Frames keep their times to a tick of 1 ms, every tenth is a key frame, so that a picture anywhere is found fast, and
the pictures are made smaller. `--ahead cam2=0.2` writes a camera's times 0.2 s late, as by a clock that is ahead: for
trying avssl-prep clocks.
"""

from __future__ import annotations

import argparse
import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from avssl.data.decode.pyav import Reader
from avssl.data.decode.timeline import frame_times
from avssl.data.scan import EXTENSIONS, media_files

TICK = Fraction(1, 1000)
SHARED = Path(os.environ.get("AVSSL_SHARED", Path(__file__).parents[2] / "shared")) / "data"


def rewrite(source: Path, target: Path, short_side: int, ahead_s: float) -> int:
    """Write one video anew, its times later by `ahead_s`, and return the number of its frames."""
    times, origin_s = frame_times(source)
    with Reader(source) as reader:
        frames = reader.frames((times - origin_s).tolist(), short_side)
    height, width = (side - side % 2 for side in frames.shape[2:])  # h264 wants even sides
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    with av.open(str(unfinished), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=50, options={"crf": "18", "preset": "veryfast", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = height, width, "yuv420p", 10
        stream.codec_context.time_base = TICK
        for time_s, picture in zip(times.tolist(), frames, strict=True):
            pixels = np.ascontiguousarray(picture[:, :height, :width].permute(1, 2, 0).numpy())
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round((time_s + ahead_s) / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    unfinished.replace(target)
    return len(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SHARED / "rig4", help="folder of folders of cameras")
    parser.add_argument("--out", type=Path, default=Path("rig4"), help="folder to write to (default: rig4)")
    parser.add_argument("--short-side", type=int, default=128, help="pixels (default: 128)")
    parser.add_argument("--ahead", nargs="*", default=[], metavar="CAMERA=S", help="clocks to set ahead")
    arguments = parser.parse_args()
    videos = sorted(media_files(arguments.source, EXTENSIONS)) if arguments.source.is_dir() else []
    if not videos:
        sys.exit(f"{arguments.source}: no videos in it; give --source, or set AVSSL_SHARED")
    ahead = {camera: float(seconds) for camera, _, seconds in (word.partition("=") for word in arguments.ahead)}
    for video in videos:
        target = (arguments.out / video).with_suffix(".mkv")
        frames = rewrite(arguments.source / video, target, arguments.short_side, ahead.get(Path(video).parts[0], 0.0))
        print(f"{target}: {frames} frames")


if __name__ == "__main__":
    main()
