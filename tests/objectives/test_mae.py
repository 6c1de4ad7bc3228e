import math

import pytest
import torch
import torch.nn.functional as F
from cases import DECODER, VIEWS, tiny_vit
from torch import nn

from avssl.functional.matrix_information import total_coding_rate, uniformity_square
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.mae_decoder import MAEDecoder
from avssl.models.patches import Patches
from avssl.models.vit import VisionTransformer
from avssl.objectives.mae import MAE
from avssl.types import Batch

SHAPES = {"image": (3, 8, 8), "video": (3, 4, 8, 8), "audio": (1, 8, 12)}


def branches() -> Branches:
    torch.manual_seed(0)
    settings = {"width": 24, "depth": 1, "heads": 2}
    return Branches(
        {
            "image": VisionTransformer([8, 8], [4, 4], **settings),
            "video": VisionTransformer([4, 8, 8], [2, 4, 4], **settings),
            "audio": VisionTransformer([8, 12], [4, 4], 1, **settings),
        }
    )


def batch(views: list[str], size: int = 3, factor: float = 1.0) -> Batch:
    generator = torch.Generator().manual_seed(0)
    values = {view: torch.randn(size, *SHAPES[view.split("/")[0]], generator=generator) for view in views}
    return Batch(torch.arange(size), {view: factor * x for view, x in values.items()})


class KnownMasks(nn.Module):
    """Shows the first of the tokens, whatever the ratio."""

    def forward(self, rows, tokens, device):
        return torch.zeros(rows, 1, dtype=torch.int64, device=device)


def test_the_loss_is_the_error_of_the_hidden_normalised_patches():
    objective, given = MAE(branches(), ["image"], **DECODER), batch(["image"])
    objective.masks = KnownMasks()
    x, shown = given.views["image"], torch.zeros(3, 1, dtype=torch.int64)
    tokens = objective.branches["image"].encoder.tokens(x, shown)
    prediction = objective.decoders["image"]({"image": tokens[:, 1:]}, {"image": shown}, tokens[:, :1])[
        "image"
    ].detach()
    expected = 0.0
    for i in range(3):
        for n in (1, 2, 3):  # corners (0, 4), (4, 0) and (4, 4)
            top, left = 4 * (n // 2), 4 * (n % 2)
            patch = x[i, :, top : top + 4, left : left + 4].flatten()
            normal = (patch - patch.mean()) / patch.std(correction=0)
            expected += float((prediction[i, n] - normal).square().mean()) / 9
    assert objective(given).loss.item() == pytest.approx(expected, rel=1e-4)


def test_hidden_patches_change_the_target_only():
    objective, given = MAE(branches(), ["image"], **DECODER), batch(["image"])
    objective.masks = KnownMasks()
    before = objective(given)
    given.views["image"][:, :, 4:] += torch.randn(3, 3, 4, 8)
    after = objective(given)
    assert after.embeddings["image"].equal(before.embeddings["image"])
    assert after.loss != before.loss


def test_raw_targets_scale_with_the_input_and_normalised_ones_do_not():
    losses = {}
    for normalize in (True, False):
        for factor in (1.0, 100.0):
            objective = MAE(branches(), ["image"], **DECODER, normalize_targets=normalize)
            losses[normalize, factor] = objective(batch(["image"], factor=factor)).loss.item()
    assert losses[True, 100.0] < 2 * losses[True, 1.0]
    assert losses[False, 100.0] > 1000 * losses[False, 1.0]


def test_views_are_learned_each_on_its_own_and_averaged():
    views = ["image", "video", "audio"]
    both = MAE(branches(), views, **DECODER)(batch(views))
    errors = [both.terms[f"reconstruction/{view}"].item() for view in views]
    assert both.loss.item() == pytest.approx(sum(errors) / 3)
    alone = MAE(branches(), views[:1], **DECODER)
    given = batch(views)
    assert (
        alone(Batch(given.index, {"image": given.views["image"]})).embeddings["image"].equal(both.embeddings["image"])
    )


@pytest.mark.parametrize(
    ("regularizer", "value", "sign"), [("uniformity", uniformity_square, 1), ("coding_rate", total_coding_rate, -1)]
)
def test_the_regulariser_is_weighted_and_of_the_features_of_the_shown_patches(regularizer, value, sign):
    plain = MAE(branches(), ["image"], **DECODER)(batch(["image"]))
    more = {"mu": 2.0} if regularizer == "coding_rate" else {}
    objective = MAE(branches(), ["image"], **DECODER, regularizer=regularizer, regularizer_weight=0.5, **more)
    output = objective(batch(["image"]))
    features = objective.branches["image"].encoder.pool
    assert features(torch.arange(6.0).view(1, 3, 2)).tolist() == [[0.0, 1.0]]  # [CLS]
    expected = value(output.embeddings["image"], **more)
    torch.testing.assert_close(output.terms[f"{regularizer}/image"], expected)
    torch.testing.assert_close(output.loss, plain.loss + sign * 0.5 * expected)


@pytest.mark.parametrize("regularizer", ["uniformity", "coding_rate"])
def test_the_regulariser_spreads_features_that_the_reconstruction_alone_lets_lie_close(regularizer):
    def mean_cosine(weight: float) -> float:
        torch.manual_seed(0)
        vits = Branches({"image": tiny_vit()})
        objective = MAE(vits, ["image"], **DECODER, regularizer=regularizer, regularizer_weight=weight)
        optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
        given = batch(["image"], size=8)
        for _ in range(40):
            objective(given).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        z = F.normalize(vits(given.views)["image"], dim=1)
        return (z @ z.T).square().mean().item()

    assert mean_cosine(1.0) < 0.6 * mean_cosine(0.0)


def test_the_loss_falls():
    objective = MAE(Branches({"image": tiny_vit()}), ["image"], **DECODER)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    stripes = torch.arange(8.0).sin().expand(8, 8)  # what is hidden is known from the place alone
    given = Batch(torch.arange(8), {"image": stripes.expand(8, 3, 8, 8) + 0.01 * torch.randn(8, 3, 8, 8)})
    losses = []
    for _ in range(60):
        loss = objective(given).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_a_batch_of_two_is_enough():
    for regularizer in ("none", "uniformity", "coding_rate"):
        objective = MAE(branches(), ["image"], **DECODER, regularizer=regularizer)
        loss = objective(batch(["image"], size=2)).loss
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in objective.branches["image"].parameters())


def test_an_input_that_is_not_finite_gives_a_loss_that_is_not():
    given = batch(["image"])
    given.views["image"][1] = math.inf
    for regularizer in ("none", "coding_rate"):
        assert not MAE(branches(), ["image"], **DECODER, regularizer=regularizer)(given).loss.isfinite()


def test_the_decoder_knows_places_and_views_and_sees_the_summary():
    decoder = MAEDecoder({view: Patches(3, [8, 8], [4, 4]) for view in VIEWS[:2]}, 16, 12, 1, 3)
    tokens = {view: torch.ones(1, 1, 16) for view in VIEWS[:2]}
    shown = {view: torch.tensor([[1]]) for view in VIEWS[:2]}
    prediction = decoder(tokens, shown)
    assert prediction[VIEWS[0]].shape == (1, 4, 48)
    hidden = prediction[VIEWS[0]][0, [0, 2, 3]]
    assert torch.pdist(hidden).min() > 1e-3
    assert not torch.allclose(prediction[VIEWS[0]], prediction[VIEWS[1]], atol=1e-4)
    summary = decoder(tokens, shown, torch.ones(1, 1, 16))
    assert summary[VIEWS[0]].shape == (1, 4, 48)
    assert not torch.allclose(summary[VIEWS[0]], prediction[VIEWS[0]], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mask_ratio": 1.0}, "mask_ratio=1.0; allowed: above 0 and below 1"),
        ({"regularizer": "entropy"}, "regularizer='entropy'; allowed: none, uniformity, coding_rate"),
        ({"mu": 0.0}, "mu=0.0; allowed: above 0"),
        ({"decoder_heads": 5}, "heads=5; allowed: divisors of width=12"),
        ({"views": []}, r"views=\[\]; allowed: one and more"),
        ({"views": ["depth"]}, "view='depth'; allowed: views of the branches image, video, audio"),
        ({"branches": nn.Identity()}, "branches='Identity'; allowed: Branches"),
        ({"branches": Branches({"image": nn.Flatten()})}, "branches.image='Flatten'; allowed: VisionTransformer"),
        (
            {"branches": Branches({"image": Branch(tiny_vit(), MLP([16, 4]))})},
            "branches.image='VisionTransformer with a head'; allowed: VisionTransformer without a head",
        ),
    ],
)
def test_a_wrong_setting_is_named_beside_the_allowed_ones(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        MAE(**{"branches": branches(), "views": ["image"], **DECODER} | settings)
