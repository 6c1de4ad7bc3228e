from __future__ import annotations

import math

import pytest
import torch

from avssl.functional.distillation import negative_cosine


def pair(n: int = 6, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    p, z = (3 * torch.randn(n, d, dtype=torch.float64, generator=generator) for _ in range(2))
    return p.requires_grad_(), z.requires_grad_()


def test_negative_cosine_is_its_definition():
    p, z = pair()
    expected = 0.0
    for a, b in zip(p.tolist(), z.tolist(), strict=True):
        norms = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        expected -= sum(x * y for x, y in zip(a, b, strict=True)) / norms / 6
    assert negative_cosine(p, z).item() == pytest.approx(expected, abs=1e-12)


def test_negative_cosine_lies_between_equal_and_opposite_directions():
    p, _ = pair()
    assert negative_cosine(p, 7 * p).item() == pytest.approx(-1)
    assert negative_cosine(p, -p).item() == pytest.approx(1)


def test_negative_cosine_leaves_the_stop_gradient_to_its_caller():
    p, z = pair()
    negative_cosine(p, z.detach()).backward()
    assert p.grad is not None
    assert z.grad is None


def test_negative_cosine_agrees_with_lightly():
    """Value and gradient on both sides: there as here the caller detaches the target."""
    lightly = pytest.importorskip("lightly.loss", reason="lightly is a development dependency")
    values = []
    for loss in (lightly.NegativeCosineSimilarity(), negative_cosine):
        p, z = pair()
        value = loss(p, z)
        values.append((value.detach(), *torch.autograd.grad(value, (p, z))))
    torch.testing.assert_close(values[1], values[0], atol=1e-12, rtol=1e-9)
