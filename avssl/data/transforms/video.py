"""From decoded frames to the input of a video encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.transforms.limits import check_between, check_colours, check_crop

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VideoTrain:
    """Random resized crop, flip and colour jitter, the same for all frames, then normalisation.

    `area` is the range of the crop's share of the picture; `jitter` the strengths of brightness, contrast, saturation
    and hue, `flip` the probability that it is mirrored; `degrees`, `translate` (share of the size) and `shear`
    (degrees) are those of a random affine motion. UserError: a value that is not allowed.
    """

    def __init__(
        self,
        size: int = 224,
        area: Sequence[float | int] = (0.08, 1.0),
        ratio: Sequence[float | int] = (3 / 4, 4 / 3),
        flip: float | int = 0.5,
        jitter: Sequence[float | int] = (0.4, 0.4, 0.4, 0.2),
        degrees: float | int = 0.0,
        translate: float | int = 0.0,
        shear: float | int = 0.0,
        mean: Sequence[float | int] = IMAGENET_MEAN,
        std: Sequence[float | int] = IMAGENET_STD,
    ) -> None:
        from torchvision.transforms import v2  # slow to import

        check_crop(size, area, ratio)
        check_colours(jitter)
        check_between("flip", flip, 0, 1)
        for name, value, most in (("degrees", degrees, 180), ("translate", translate, 1), ("shear", shear, 90)):
            check_between(name, value, 0, most)
        (least, most), (narrow, wide) = area, ratio
        steps: list[Callable] = [v2.RandomResizedCrop(size, scale=(least, most), ratio=(narrow, wide), antialias=True)]
        if flip:
            steps.append(v2.RandomHorizontalFlip(flip))
        if degrees or translate or shear:
            turn, bilinear = (-degrees, degrees), v2.InterpolationMode.BILINEAR
            steps.append(v2.RandomAffine(turn, (translate, translate), shear=shear or None, interpolation=bilinear))
        if any(jitter):
            steps.append(v2.ColorJitter(*jitter))
        self._steps = v2.Compose(steps)
        self._normalise, self._mean, self._std = _Normalise(mean, std), mean, std

    def __call__(self, frames: UInt8[Tensor, "t 3 h w"]) -> Float32[Tensor, "3 t size size"]:
        return self._normalise(self._steps(frames))

    def denormalise(self, clip: Float32[Tensor, "3 t h w"]) -> UInt8[Tensor, "t 3 h w"]:
        """The frames that the network sees."""
        return pixels(clip, self._mean, self._std).transpose(0, 1)


class VideoEval:
    """Resize the short side, crop the centre, normalise. `resize` is the short side, `size` that of the crop."""

    def __init__(
        self,
        size: int = 224,
        resize: int | None = None,
        mean: Sequence[float | int] = IMAGENET_MEAN,
        std: Sequence[float | int] = IMAGENET_STD,
    ) -> None:
        self.size, self.resize, self.mean, self.std = size, resize, list(mean), list(std)
        self._normalise, self._mean, self._std = _Normalise(mean, std), mean, std

    def __call__(self, frames: UInt8[Tensor, "t 3 h w"]) -> Float32[Tensor, "3 t size size"]:
        from torchvision.transforms.v2.functional import center_crop, resize  # slow to import

        shrunk = resize(frames, [self.resize or self.size], antialias=True)
        return self._normalise(center_crop(shrunk, [self.size, self.size]))

    def denormalise(self, clip: Float32[Tensor, "3 t h w"]) -> UInt8[Tensor, "t 3 h w"]:
        """The frames that the network sees."""
        return pixels(clip, self._mean, self._std).transpose(0, 1)


class _Normalise:
    """uint8 [t 3 h w] -> float32 [3 t h w] of zero mean and unit deviation, in one multiplication and addition."""

    def __init__(self, mean: Sequence[float | int], std: Sequence[float | int]) -> None:
        mean_, std_ = (torch.tensor(tuple(values), dtype=torch.float32)[:, None, None, None] for values in (mean, std))
        self._scale, self._shift = 1 / (255 * std_), -mean_ / std_

    def __call__(self, frames: Tensor) -> Tensor:
        return torch.addcmul(self._shift, frames.transpose(0, 1).float(), self._scale)


def pixels(
    values: Float32[Tensor, "3 *rest"], mean: Sequence[float | int], std: Sequence[float | int]
) -> UInt8[Tensor, "3 *rest"]:
    """Normalised colours as bytes again."""
    shape = (3, *[1] * (values.ndim - 1))
    share = values * torch.tensor(tuple(std)).view(shape) + torch.tensor(tuple(mean)).view(shape)
    return (255 * share).round().clamp(0, 255).to(torch.uint8)
