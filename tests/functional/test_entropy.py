import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avssl.functional.entropy import (
    density_entropy,
    discrete_entropy,
    discrete_likelihood,
    discrete_reconstruction,
    kde_entropy,
    kde_log_density,
    vmf_log_normalizer,
    vmf_reconstruction,
)


def unit(n: int, d: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(n * d)), dim=1)


def test_log_normalizer_equals_the_table_of_60_digits(golden: Path):
    for dim, kappa, value in np.load(golden / "vmf_log_normalizer.npz")["table"]:
        assert vmf_log_normalizer(int(dim), float(kappa)) == pytest.approx(value, rel=1e-9)


def test_log_normalizer_in_three_dimensions_has_a_closed_form():
    for kappa in (1e-6, 0.5, 10.0, 1e4):
        log_sinh = kappa + math.log1p(-math.exp(-2 * kappa)) - math.log(2)
        assert vmf_log_normalizer(3, kappa) == pytest.approx(math.log(kappa / (4 * math.pi)) - log_sinh, rel=1e-9)


def test_log_normalizer_of_a_tensor_is_that_of_the_number(golden: Path):
    for dim, kappa, value in np.load(golden / "vmf_log_normalizer.npz")["table"]:
        assert vmf_log_normalizer(int(dim), torch.tensor(kappa)).item() == pytest.approx(value, rel=1e-9)
        single = vmf_log_normalizer(int(dim), torch.tensor(kappa, dtype=torch.float32))
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("dim", [2, 3, 128, 8192])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_derivative_of_the_log_normalizer_is_minus_the_mean_length(dim: int, dtype: torch.dtype):
    """A_d by the continued fraction 1 / (d/k + 1 / ((d+2)/k + ...)) of I_{d/2} / I_{d/2-1}."""
    for number in (0.5, 10.0, 500.0):
        kappa, fraction = torch.tensor(number, dtype=dtype, requires_grad=True), 0.0
        vmf_log_normalizer(dim, kappa).backward()
        for order in reversed(range(dim, dim + 6000, 2)):
            fraction = 1 / (order / number + fraction)
        assert kappa.grad.item() == pytest.approx(-fraction, rel=1e-9 if dtype == torch.float64 else 1e-6)


def test_log_normalizer_stays_finite_where_bessel_functions_overflow_or_underflow():
    for dim, kappa in ((2, 1e-12), (2, 1e6), (8192, 1e-12), (8192, 1e6), (65536, 1.0)):
        assert math.isfinite(vmf_log_normalizer(dim, kappa))


def test_log_normalizer_is_differentiable_in_kappa():
    kappa = torch.tensor([0.3, 10.0, 700.0], dtype=torch.float64, requires_grad=True)
    for dim in (2, 5, 128):
        assert torch.autograd.gradcheck(lambda k, dim=dim: vmf_log_normalizer(dim, k), kappa)
    single = torch.tensor(10.0, requires_grad=True)
    vmf_log_normalizer(128, single).backward()
    assert single.grad.dtype == torch.float32


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_kde_entropy_is_its_definition(leave_one_out: bool):
    z, kappa = unit(6, 4), 7.0
    log_density = []
    for i in range(6):
        others = [j for j in range(6) if j != i or not leave_one_out]
        density = sum(math.exp(kappa * float(z[i] @ z[j]) + vmf_log_normalizer(4, kappa)) for j in others) / len(others)
        log_density.append(math.log(density))
    joe = -sum(log_density) / 6
    weights = [math.exp(value) for value in log_density]
    plug_in = -sum(w * value for w, value in zip(weights, log_density, strict=True)) / sum(weights)
    assert kde_entropy(z, kappa, "joe", leave_one_out).item() == pytest.approx(joe, abs=1e-12)
    assert kde_entropy(z, kappa, "plug_in", leave_one_out).item() == pytest.approx(plug_in, abs=1e-12)


def test_a_density_weighs_its_kernels():
    z, places, kappa = unit(3, 4), unit(5, 4), 7.0
    weight = torch.tensor([[1, 0, 2.5, 1, 0.5], [0, 0, 0, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.float64)
    found = kde_log_density(z @ places.T, 4, kappa, weight)
    for i in range(3):
        kernels = [math.exp(kappa * float(z[i] @ place) + vmf_log_normalizer(4, kappa)) for place in places]
        density = sum(float(w) * k for w, k in zip(weight[i], kernels, strict=True)) / float(weight[i].sum())
        assert found[i].item() == pytest.approx(math.log(density), abs=1e-12)
    assert kde_log_density(z @ places.T, 4, kappa)[2].item() == pytest.approx(found[2].item(), abs=1e-12)


def test_kernels_without_weight_get_no_gradient_and_give_no_nan():
    similarity = unit(2, 3).requires_grad_()
    density_entropy(kde_log_density(similarity, 4, 7.0, torch.tensor([[1.0, 0, 1]] * 2).double())).backward()
    assert similarity.grad.isfinite().all()
    assert (similarity.grad[:, 1] == 0).all()


def test_entropy_of_many_uniform_directions_nears_the_log_area_of_the_sphere():
    z = unit(3000, 3)
    assert kde_entropy(z, 20.0).item() == pytest.approx(math.log(4 * math.pi), abs=0.1)


@pytest.mark.parametrize("case", ["0", "1"])
def test_er_terms_equal_recorded_values(golden: Path, case: str):
    er = np.load(golden / "er.npz")
    kappa = float(er[f"{case}_kappa"])
    z1, z2 = (torch.from_numpy(er[f"{case}_z{i}"]).requires_grad_() for i in (1, 2))
    # The recorded entropies are those of z1. Theirs add 1e-7 inside a logarithm, hence 1e-6.
    for name, estimator in (("entropy_average", "joe"), ("entropy_expectation", "plug_in")):
        value = kde_entropy(z1, kappa, estimator)
        (gradient,) = torch.autograd.grad(value, z1)
        assert value.item() == pytest.approx(float(er[f"{case}_{name}"]), abs=1e-6)
        assert np.allclose(gradient.numpy(), er[f"{case}_{name}_grad"], atol=1e-5)
    reconstruction = vmf_reconstruction(z1, z2, kappa)
    g1, g2 = torch.autograd.grad(reconstruction, (z1, z2))
    assert -reconstruction.item() == pytest.approx(float(er[f"{case}_recon"]), abs=1e-6)
    assert np.allclose(-g1.numpy(), er[f"{case}_recon_g1"], atol=1e-6)
    assert np.allclose(-g2.numpy(), er[f"{case}_recon_g2"], atol=1e-6)


@pytest.mark.parametrize("case", ["0", "1"])
def test_discrete_terms_equal_recorded_values(golden: Path, case: str):
    er = np.load(golden / "er.npz")
    p1, p2 = (torch.from_numpy(er[f"{case}_p{i}"]).requires_grad_() for i in (1, 2))
    entropy = discrete_entropy(p1)
    (gradient,) = torch.autograd.grad(entropy, p1)
    assert entropy.item() == pytest.approx(float(er[f"{case}_d_entropy"]), abs=1e-6)
    assert np.allclose(gradient.numpy(), er[f"{case}_d_entropy_grad"], atol=1e-5)
    assert -discrete_reconstruction(p1, p2).item() == pytest.approx(float(er[f"{case}_d_recon"]), abs=2e-5)


def test_discrete_likelihood_is_its_definition():
    codes, logits = unit(3, 4).square(), 3 * unit(3, 5)[:, :4]
    expected = 0.0
    for i in range(3):
        total = sum(math.exp(x) for x in logits[i].tolist())
        expected += (
            sum(c * math.log(math.exp(x) / total) for c, x in zip(codes[i].tolist(), logits[i].tolist(), strict=True))
            / 3
        )
    assert discrete_likelihood(codes, logits).item() == pytest.approx(expected, abs=1e-12)


def test_an_unused_cluster_costs_no_nan():
    p = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    (discrete_entropy(p) + discrete_reconstruction(p, 1 - p)).backward()
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("kappa", [0.0, -1.0])
def test_kappa_must_be_positive(kappa: float):
    with pytest.raises(ValueError, match=r"kappa=.*allowed: numbers above 0"):
        vmf_log_normalizer(8, kappa)
