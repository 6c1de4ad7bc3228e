"""Several cameras that see the same thing: the same objectives, with cameras in place of video and audio.

    python cameras.py ~/rig                    # pictures ~/rig/INSTANCE/CAMERA.png
    python cameras.py ~/rig --period 0.5       # videos ~/rig/CAMERA/FILE.mp4, an instance each 0.5 s

As a command: avssl-train ~/rig data=cameras branches=image_small objective=infonce out=runs/rig
"""

import argparse

import avssl
from avssl.data import MultiCamera
from avssl.models import build_branches
from avssl.objectives import InfoNCE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--period", type=float, help="s between the instants of videos")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2, help="processes that decode")
    asked = parser.parse_args()

    # Two cameras of each instance, drawn anew each time, go through one encoder; an image of each has its row below.
    source = MultiCamera(asked.folder, views_per_instance=2, period_s=asked.period, size=32)
    branches = build_branches({"image": "torchvision/resnet18"}, dim=64)
    objective = InfoNCE(branches, temperature=0.1)
    run = avssl.fit(objective, source, out="runs/rig", epochs=asked.epochs, workers=asked.workers)

    # Is the nearest image one of the same instance, by another camera?
    table = avssl.embed(run, asked.folder, "emb_rig", workers=asked.workers)
    print(avssl.retrieval(table))


if __name__ == "__main__":
    main()
