from __future__ import annotations

from math import ceil

import pytest
import torch
from torch import nn

from avssl.models.r2plus1d import R2Plus1D


@pytest.mark.parametrize(
    ("t", "h", "w"), [(8, 32, 32), (4, 16, 16), (1, 8, 8), (3, 17, 45), (9, 50, 31), (8, 112, 112)]
)
def test_a_clip_of_any_length_and_size_gives_one_vector(t, h, w):
    encoder = R2Plus1D(depth=10, width=4)
    x = torch.randn(2, 3, t, h, w)
    maps = encoder.stages(x)
    for stage, (m, planes) in enumerate(zip(maps, [4, 8, 16, 32], strict=True)):
        time, space = 2**stage, 4 * 2**stage
        assert m.shape == (2, planes, ceil(t / time), ceil(h / space), ceil(w / space))
    assert encoder.out_dim == 32
    assert encoder(x).shape == (2, 32)


def test_the_feature_is_the_maximum_of_the_last_map():
    encoder = R2Plus1D(depth=10, width=4).eval()
    x = torch.randn(2, 3, 8, 64, 64)
    last = encoder.stages(x)[-1]
    assert torch.equal(encoder(x), last.flatten(2).max(dim=2).values)


@pytest.mark.parametrize("depth", [10, 18, 34])
def test_depth_counts_the_split_convolutions_and_the_classifier_it_would_have(depth):
    encoder = R2Plus1D(depth=depth, width=2)
    split = sum(isinstance(m, nn.Conv3d) and m.kernel_size == (1, 3, 3) for m in encoder.modules())
    assert 1 + split + 1 == depth


@pytest.mark.parametrize("depth", [0, 9, 50])
def test_another_depth_is_refused_by_value(depth):
    with pytest.raises(ValueError, match=rf"depth={depth}: allowed are 10, 18, 34"):
        R2Plus1D(depth=depth)
