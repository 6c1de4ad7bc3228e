"""From a decoded picture to the input of an image encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from avssl.data.transforms.limits import check_between, check_colours, check_crop, check_range
from avssl.data.transforms.video import IMAGENET_MEAN, IMAGENET_STD, pixels


class ImageTrain:
    """Random resized crop, flip, colour jitter, grey, blur and solarisation, then normalisation: SimCLR and after it.

    `area` is the range of the crop's share of the picture; `jitter` the strengths of brightness, contrast, saturation
    and hue; `flip`, `jitter_share`, `grey`, `blur` and `solarize` are probabilities, `sigma` the range of the blur's
    deviation in pixels. Chen et al., arXiv 2002.05709; solarisation from Grill et al., arXiv 2006.07733.
    UserError: a value that is not allowed.
    """

    def __init__(
        self,
        size: int = 224,
        area: Sequence[float | int] = (0.08, 1.0),
        ratio: Sequence[float | int] = (3 / 4, 4 / 3),
        flip: float | int = 0.5,
        jitter: Sequence[float | int] = (0.4, 0.4, 0.2, 0.1),
        jitter_share: float | int = 0.8,
        grey: float | int = 0.2,
        blur: float | int = 0.5,
        sigma: Sequence[float | int] = (0.1, 2.0),
        solarize: float | int = 0.0,
        mean: Sequence[float | int] = IMAGENET_MEAN,
        std: Sequence[float | int] = IMAGENET_STD,
    ) -> None:
        from torchvision.transforms import v2  # slow to import

        check_crop(size, area, ratio)
        check_colours(jitter)
        shares = {"flip": flip, "jitter_share": jitter_share, "grey": grey, "blur": blur, "solarize": solarize}
        for name, value in shares.items():
            check_between(name, value, 0, 1)
        check_range("sigma", sigma, 0.01, 1000)
        (least, most), (narrow, wide) = area, ratio
        steps: list[Callable] = [v2.RandomResizedCrop(size, scale=(least, most), ratio=(narrow, wide), antialias=True)]
        if flip:
            steps.append(v2.RandomHorizontalFlip(flip))
        if any(jitter) and jitter_share:
            steps.append(v2.RandomApply([v2.ColorJitter(*jitter)], jitter_share))
        if grey:
            steps.append(v2.RandomGrayscale(grey))
        if blur:
            kernel = 2 * max(size // 20, 1) + 1  # a tenth of the picture, as SimCLR has it
            steps.append(v2.RandomApply([v2.GaussianBlur(kernel, tuple(sigma))], blur))
        if solarize:
            steps.append(v2.RandomSolarize(128, solarize))
        self._steps = v2.Compose(steps)
        self._normalise, self._mean, self._std = _normaliser(mean, std), mean, std

    def __call__(self, image: UInt8[Tensor, "3 h w"]) -> Float32[Tensor, "3 size size"]:
        return self._normalise(self._steps(image))

    def denormalise(self, image: Float32[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"]:
        """The picture that the network sees."""
        return pixels(image, self._mean, self._std)


class ImageEval:
    """Resize the short side, crop the centre, normalise. `resize` is the short side, `size` that of the crop."""

    def __init__(
        self,
        size: int = 224,
        resize: int | None = None,
        mean: Sequence[float | int] = IMAGENET_MEAN,
        std: Sequence[float | int] = IMAGENET_STD,
    ) -> None:
        self.size, self.resize, self.mean, self.std = size, resize, list(mean), list(std)
        self._normalise, self._mean, self._std = _normaliser(mean, std), mean, std

    def __call__(self, image: UInt8[Tensor, "3 h w"]) -> Float32[Tensor, "3 size size"]:
        from torchvision.transforms.v2.functional import center_crop, resize  # slow to import

        shrunk = resize(image, [self.resize or self.size], antialias=True)
        return self._normalise(center_crop(shrunk, [self.size, self.size]))

    def denormalise(self, image: Float32[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"]:
        """The picture that the network sees."""
        return pixels(image, self._mean, self._std)


def _normaliser(mean: Sequence[float | int], std: Sequence[float | int]) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))])
