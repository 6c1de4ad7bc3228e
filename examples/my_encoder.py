"""An encoder of your own: a module that says in `out_dim` how many numbers it gives. The head fits itself to it.

python my_encoder.py ~/videos
avssl-train ~/videos branches.video=my_encoder.MyEncoder out=runs/my_encoder
avssl-embed runs/my_encoder ~/videos out=emb trust=my_encoder.MyEncoder    # your code, only if you say so
"""

import sys

from torch import Tensor, nn

import avssl
from avssl.data import VideoFolder
from avssl.models import build_branches
from avssl.objectives import InfoNCE


class MyEncoder(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.width = width  # arguments are kept under their names: a checkpoint builds the encoder again from them
        self.out_dim = width
        self.layers = nn.Sequential(nn.Conv3d(3, width, (3, 7, 7), (1, 4, 4)), nn.ReLU(), nn.AdaptiveAvgPool3d(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)  # [clips 3 frames height width] -> [clips out_dim]


def main() -> None:
    folder, epochs = sys.argv[1], int((sys.argv[2:] or ["30"])[0])
    branches = build_branches({"video": MyEncoder(), "audio": {"name": "conv2d10", "width": 16}}, dim=128)
    run = avssl.fit(InfoNCE(branches), VideoFolder(folder, size=64), out="runs/my_encoder", epochs=epochs)
    print(avssl.load(run, trust=True))


if __name__ == "__main__":
    main()
