from __future__ import annotations

import pytest
import torch

from avssl.models.heads import MLP


def test_relu_stands_between_the_layers_and_not_after_the_last():
    torch.manual_seed(0)
    head = MLP([5, 7, 6, 3])
    first, second, third = (m for m in head if isinstance(m, torch.nn.Linear))
    x = torch.randn(4, 5)
    expected = third(second(first(x).clamp(min=0)).clamp(min=0))
    assert torch.equal(head(x), expected)
    assert (expected < 0).any()


def test_two_dims_are_one_linear_layer():
    assert [tuple(p.shape) for p in MLP([5, 3]).parameters()] == [(3, 5), (3,)]


def test_one_dim_is_refused():
    with pytest.raises(ValueError, match=r"dims=\[5\]"):
        MLP([5])
