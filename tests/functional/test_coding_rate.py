import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avssl.functional.matrix_information import total_coding_rate, uniformity_square


@pytest.fixture
def recorded(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "total_coding_rate.npz") as file:
        return dict(file)


@pytest.mark.parametrize("mu", [1, 3])
@pytest.mark.parametrize("centering", [False, True])
def test_coding_rate_and_its_gradient_are_the_recorded_ones(recorded, mu: int, centering: bool):
    name = f"tcr_mu{mu}_c{int(centering)}"
    z = torch.tensor(recorded["z"], requires_grad=True)
    rate = total_coding_rate(z, float(mu), centering)
    rate.backward()
    assert rate.item() == pytest.approx(-float(recorded[name]), rel=1e-6)
    torch.testing.assert_close(z.grad, -torch.tensor(recorded[f"{name}_grad"]), atol=1e-6, rtol=1e-4)


def test_uniformity_and_its_gradient_are_the_recorded_ones(recorded):
    z = torch.tensor(recorded["z"], requires_grad=True)
    loss = uniformity_square(z)
    loss.backward()
    assert loss.item() == pytest.approx(float(recorded["usq"]), rel=1e-6)
    torch.testing.assert_close(z.grad, torch.tensor(recorded["usq_grad"]), atol=1e-8, rtol=1e-4)


def test_coding_rate_is_that_of_the_gram_matrix():
    z = torch.randn(5, 3, dtype=torch.float64)
    unit = F.normalize(z, dim=1)
    gram = torch.tensor([[float(unit[i] @ unit[j]) for j in range(5)] for i in range(5)], dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(gram).clamp_min(0)
    expected = sum(math.log(1 + 2.0 / 3 * float(value)) for value in eigenvalues)
    assert total_coding_rate(z, 2.0).item() == pytest.approx(expected, rel=1e-12)


def test_uniformity_is_the_mean_squared_cosine_of_all_pairs():
    z = torch.randn(5, 3, dtype=torch.float64)
    cosines = [float(F.cosine_similarity(z[i], z[j], dim=0)) for i in range(5) for j in range(5)]
    assert uniformity_square(z).item() == pytest.approx(sum(c * c for c in cosines) / 25, rel=1e-12)


def test_limits_of_collapse_and_of_orthogonal_rows():
    same, orthogonal = torch.ones(4, 8), torch.eye(8)[:4]
    assert uniformity_square(same).item() == pytest.approx(1)
    assert uniformity_square(orthogonal).item() == pytest.approx(1 / 4)
    assert total_coding_rate(same, 3.0).item() == pytest.approx(math.log(1 + 3 / 8 * 4), rel=1e-5)
    assert total_coding_rate(orthogonal, 3.0).item() == pytest.approx(4 * math.log(1 + 3 / 8), rel=1e-5)


def test_half_precision_rows_are_measured_in_float32():
    z = torch.randn(6, 4).bfloat16()
    for value in (total_coding_rate(z, 3.0), uniformity_square(z)):
        assert value.dtype == torch.float32


def test_rows_that_are_not_finite_give_a_loss_that_is_not():
    z = torch.randn(6, 4)
    z[2, 1] = math.nan
    assert total_coding_rate(z, 3.0).isnan()
    assert uniformity_square(z).isnan()
