import itertools
import math

import pytest
import torch

from avssl.functional.masking import (
    hidden_error,
    normalize_patches,
    num_shown,
    patchify,
    put_back,
    shown_at_random,
    take,
    unpatchify,
)
from avssl.models.patches import Patches, sin_cos
from avssl.state.masks import MaskSampler

SIZES = [([6, 4], [3, 2], 3), ([4, 6, 2], [2, 3, 1], 2), ([8], [2], 1)]


@pytest.mark.parametrize(("size", "patch", "channels"), SIZES)
def test_patches_are_their_corners_in_row_major_order(size, patch, channels):
    x = torch.randn(2, channels, *size)
    patches = patchify(x, patch)
    corners = itertools.product(*(range(0, whole, length) for whole, length in zip(size, patch, strict=True)))
    for n, corner in enumerate(corners):
        window = tuple(slice(start, start + length) for start, length in zip(corner, patch, strict=True))
        assert patches[:, n].equal(x[(slice(None), slice(None), *window)].flatten(1))
    assert n == patches.shape[1] - 1


@pytest.mark.parametrize(("size", "patch", "channels"), SIZES)
def test_unpatchify_undoes_patchify(size, patch, channels):
    x = torch.randn(2, channels, *size)
    assert unpatchify(patchify(x, patch), size, patch).equal(x)
    cut = Patches(channels, size, patch)
    assert cut.join(cut.split(x)).equal(x)


def test_normalised_patches_have_zero_mean_and_unit_variance_and_flat_ones_are_zero():
    patches = 3 * torch.randn(2, 4, 50) + 7
    patches[1, 2] = 5.0
    normal = normalize_patches(patches)
    torch.testing.assert_close(normal.mean(2), torch.zeros(2, 4), atol=1e-5, rtol=0)
    variance = normal.var(2, correction=0)
    assert variance[1, 2] == 0
    torch.testing.assert_close(variance.flatten()[[0, 1, 2, 3, 4, 5, 7]], torch.ones(7), atol=1e-5, rtol=0)


def test_hidden_error_is_the_mean_over_patches_that_were_not_shown():
    prediction, target = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    shown = torch.tensor([[0, 3], [1, 2]])
    hidden = [(0, 1), (0, 2), (0, 4), (1, 0), (1, 3), (1, 4)]
    expected = sum(float(((prediction[i, j] - target[i, j]) ** 2).mean()) for i, j in hidden) / 6
    assert hidden_error(prediction, target, shown).item() == pytest.approx(expected, rel=1e-5)


def test_what_was_taken_is_put_back_where_it_stood():
    tokens, places = torch.randn(2, 5, 3), torch.tensor([[4, 0], [1, 2]])
    taken = take(tokens, places)
    assert taken[0].equal(tokens[0, [4, 0]])
    back = put_back(taken, places, 5)
    assert back[0, [4, 0]].equal(tokens[0, [4, 0]])
    assert back[1, [1, 2]].equal(tokens[1, [1, 2]])
    assert back[0, [1, 2, 3]].eq(0).all()
    assert back[1, [0, 3, 4]].eq(0).all()


@pytest.mark.parametrize(
    ("tokens", "ratio", "shown"), [(196, 0.75, 49), (1568, 0.9, 157), (4, 0.99, 1), (4, 0.01, 3), (2, 0.5, 1)]
)
def test_some_tokens_are_shown_and_some_hidden_at_any_ratio(tokens, ratio, shown):
    assert num_shown(tokens, ratio) == shown


def test_every_place_is_shown_as_often_as_any_other():
    shown = shown_at_random(torch.rand(6000, 8, generator=torch.Generator().manual_seed(0)), 2)
    assert (shown[:, 0] < shown[:, 1]).all()
    counts = shown.flatten().bincount(minlength=8)
    assert (counts - 1500).abs().max() < 150


def test_masks_differ_between_instances_and_draws_and_go_on_where_a_saved_sampler_stood():
    masks = MaskSampler(0.75, seed=3)
    first = masks(5, 40, "cpu")
    assert first.shape == (5, 10)
    assert len(first.unique(dim=0)) == 5
    state = masks.state_dict()
    second = masks(5, 40, "cpu")
    assert not first.equal(second)
    resumed = MaskSampler(0.75, seed=3)
    resumed.load_state_dict(state)
    assert resumed(5, 40, "cpu").equal(second)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5])
def test_a_mask_ratio_that_hides_nothing_or_all_is_refused(ratio):
    with pytest.raises(ValueError, match=rf"mask_ratio={ratio}; allowed: above 0 and below 1"):
        MaskSampler(ratio, seed=0)


@pytest.mark.parametrize(
    ("size", "patch", "sentence"),
    [
        ([32, 30], [4, 4], r"size=\[32, 30\]; allowed: multiples of patch=\[4, 4\]"),
        ([32, 32], [4], r"patch=\[4\]; allowed: 2 lengths, one for each of size=\[32, 32\]"),
        ([32, 32], [32, 32], r"patch=\[32, 32\]; allowed: smaller than size=\[32, 32\]"),
        ([32, 32], [0, 4], r"patch=\[0, 4\]; allowed: lengths from 1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(size, patch, sentence):
    with pytest.raises(ValueError, match=sentence):
        Patches(3, size, patch)


@pytest.mark.parametrize("grid", [[7], [5, 3], [2, 4, 3]])
def test_positions_tell_all_places_apart_and_a_step_is_the_same_rotation_everywhere(grid):
    positions = sin_cos(grid, 24)
    assert positions.shape == (torch.Size(grid).numel(), 24)
    assert torch.pdist(positions).min() > 0.1
    products = (positions @ positions.T).view(*grid, *grid)
    start, step = (0,) * len(grid), (*(0,) * (len(grid) - 1), 1)
    end = tuple(length - 2 for length in grid[-1:])
    last = (*(length - 1 for length in grid[:-1]), *end)
    after = (*last[:-1], last[-1] + 1)
    torch.testing.assert_close(products[(*start, *step)], products[(*last, *after)])


def test_positions_hold_sines_and_cosines_of_falling_frequencies():
    expected = [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02), 0.0]
    assert sin_cos([3], 5)[2].tolist() == pytest.approx(expected)


def test_a_width_that_leaves_an_axis_without_position_is_refused():
    with pytest.raises(ValueError, match="width=5; allowed: 6 and more for 3 axes"):
        sin_cos([2, 2, 2], 5)
