"""Conv2D-10, the audio encoder of AVID: a small VGG over spectrograms."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from avssl.errors import check


class Conv2D10(nn.Module):
    """Four blocks of two 3x3 convolutions with width, 2, 4 and 8 times width planes, then a global max pool.

    Morgado et al., arXiv 2004.12943. Takes spectrograms of any number of bands and frames, or with 3 `channels`
    pictures of any size.
    The stem and the first three blocks halve both axes, so block 4 is [b 8*width ceil(bands/16) ceil(frames/16)].
    """

    def __init__(self, width: int = 64, channels: int = 1) -> None:
        super().__init__()
        for name, value in {"width": width, "channels": channels}.items():
            check(name, value, value >= 1, "1 and more")
        self.width, self.channels = width, channels
        planes = [width, 2 * width, 4 * width, 8 * width]
        self.out_dim = planes[-1]
        self.stem = nn.Sequential(*_normed(channels, width, kernel=7, stride=2))
        inputs = [width, *planes[:-1]]
        strides = (2, 2, 2, 1)
        self.layers = nn.ModuleList(map(_block, inputs, planes, strides))

    def stages(self, x: Float[Tensor, "b channels bands frames"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The output maps of the four blocks, first to last."""
        maps = []
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps

    def forward(self, x: Float[Tensor, "b channels bands frames"]) -> Float[Tensor, "b d"]:
        return self.stages(x)[-1].amax(dim=(2, 3))


def _block(inputs: int, planes: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *_normed(inputs, planes, kernel=3, stride=stride), *_normed(planes, planes, kernel=3, stride=1)
    )


def _normed(inputs: int, planes: int, *, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, planes, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(planes), nn.ReLU(inplace=True)]
