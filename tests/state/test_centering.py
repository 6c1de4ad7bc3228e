from __future__ import annotations

import pytest
import torch

from avssl.state.centering import Centering


def outputs(step: int) -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(step)) + step


def test_the_center_is_the_moving_average_of_batch_means_from_zero_on():
    centering, expected = Centering(3, 0.9), torch.zeros(3)
    for step in range(3):
        centering.update(outputs(step))
        expected = 0.9 * expected + 0.1 * outputs(step).mean(0)
        torch.testing.assert_close(centering.center, expected)


def test_a_wrong_momentum_is_named():
    with pytest.raises(ValueError, match=r"momentum=1.1; allowed: 0 to 1"):
        Centering(3, 1.1)
