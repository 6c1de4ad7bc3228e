"""R(2+1)D video encoder of AVID: space and time are convolved one after the other."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import check

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class R2Plus1D(nn.Module):
    """Four stages of residual blocks with width, 2, 4 and 8 times width planes, then a global max pool.

    Morgado et al., arXiv 2004.12943. Takes clips of any length and size.
    Strides: 1x4x4 in the stem, 2x2x2 in stages 2 to 4; stage 4 is [b 8*width ceil(t/8) ceil(h/32) ceil(w/32)].
    ValueError: a depth other than 10, 18 or 34.
    """

    def __init__(self, depth: int = 18, width: int = 64) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth={depth}: allowed are {', '.join(map(str, BLOCKS))}")
        check("width", width, width >= 1, "1 and more")
        self.depth, self.width = depth, width
        planes = [width, 2 * width, 4 * width, 8 * width]
        self.out_dim = planes[-1]
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        )
        inputs = [width, *planes[:-1]]
        strides = (1, 2, 2, 2)
        self.layers = nn.ModuleList(map(_stage, inputs, planes, strides, BLOCKS[depth]))

    def stages(self, x: Float[Tensor, "b 3 t h w"]) -> list[Float[Tensor, "b _ _ _ _"]]:
        """The output maps of the four stages, first to last."""
        maps = []
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps

    def forward(self, x: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d"]:
        return self.stages(x)[-1].amax(dim=(2, 3, 4))


class Block(nn.Module):
    """Space, time, space, time; the last norm comes after the sum with the residual, whose projection has none."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_space(inputs, planes, stride),
            *_normed(_time(planes, planes, stride), planes),
            *_space(planes, planes, 1),
            _time(planes, planes, 1),
        )
        same = inputs == planes and stride == 1
        self.residual = nn.Identity() if same else nn.Conv3d(inputs, planes, 1, stride=stride, bias=False)
        self.norm = nn.BatchNorm3d(planes)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b planes _ _ _"]:
        return F.relu_(self.norm(self.body(x) + self.residual(x)))


def _stage(inputs: int, planes: int, stride: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, planes, stride), *(Block(planes, planes, 1) for _ in range(blocks - 1)))


def _space(inputs: int, planes: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv3d(inputs, planes, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
    return _normed(conv, planes)


def _time(inputs: int, planes: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, planes, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False)


def _normed(conv: nn.Module, planes: int) -> list[nn.Module]:
    return [conv, nn.BatchNorm3d(planes), nn.ReLU(inplace=True)]
