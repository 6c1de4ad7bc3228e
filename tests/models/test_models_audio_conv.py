from __future__ import annotations

from math import ceil

import pytest
import torch

from avssl.models.audio_conv import Conv2D10


@pytest.mark.parametrize(("bands", "frames"), [(257, 200), (64, 100), (40, 98), (8, 8), (1, 5)])
def test_a_spectrogram_of_any_size_gives_one_vector(bands, frames):
    encoder = Conv2D10(width=4)
    x = torch.randn(2, 1, bands, frames)
    maps = encoder.stages(x)
    for m, planes, stride in zip(maps, [4, 8, 16, 32], [4, 8, 16, 16], strict=True):
        assert m.shape == (2, planes, ceil(bands / stride), ceil(frames / stride))
    assert encoder.out_dim == 32
    assert encoder(x).shape == (2, 32)


def test_the_feature_is_the_maximum_of_the_last_map():
    encoder = Conv2D10(width=4).eval()
    x = torch.randn(2, 1, 64, 100)
    assert torch.equal(encoder(x), encoder.stages(x)[-1].flatten(2).max(dim=2).values)
