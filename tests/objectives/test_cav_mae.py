import math

import pytest
import torch
import torch.nn.functional as F
from cases import DECODER, tiny_vit
from torch import nn

from avssl.models.branches import Branches
from avssl.models.joint import JointBranches
from avssl.models.vit import VisionTransformer
from avssl.objectives.cav_mae import CAVMAE
from avssl.types import Batch

SHAPES = {"video": (3, 4, 8, 8), "audio": (1, 8, 12)}
VIEWS = list(SHAPES)


def branches() -> JointBranches:
    torch.manual_seed(0)
    settings = {"width": 24, "depth": 1, "heads": 2}
    video = VisionTransformer([4, 8, 8], [2, 4, 4], **settings)
    return JointBranches({"video": video, "audio": VisionTransformer([8, 12], [4, 4], 1, **settings)}, heads=2)


def batch(size: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(torch.arange(size), {v: torch.randn(size, *shape, generator=generator) for v, shape in SHAPES.items()})


def test_the_loss_is_both_errors_plus_the_weighted_contrast():
    objective, given = CAVMAE(branches(), VIEWS, **DECODER, contrastive_weight=0.25), batch()
    output = objective(given)
    z, own = output.embeddings, torch.arange(3)
    contrast = (
        F.cross_entropy(z["video"] @ z["audio"].T / 0.05, own) + F.cross_entropy(z["audio"] @ z["video"].T / 0.05, own)
    ) / 2
    torch.testing.assert_close(output.terms["contrastive"], contrast)
    errors = output.terms["reconstruction/video"] + output.terms["reconstruction/audio"]
    torch.testing.assert_close(output.loss, errors + 0.25 * contrast)


class KnownMasks(nn.Module):
    def __init__(self, shown: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.shown = shown

    def forward(self, rows, tokens, device):
        return self.shown["video" if tokens == 8 else "audio"]


@torch.no_grad()
def test_errors_are_those_of_predictions_from_the_shown_patches_of_all_views():
    objective, given = CAVMAE(branches(), VIEWS, **DECODER), batch()
    shown = {"video": torch.tensor([[1, 6], [0, 7], [2, 3]]), "audio": torch.tensor([[5], [0], [2]])}
    objective.masks = KnownMasks(shown)
    output, model = objective(given), objective.branches
    tokens = {view: model.encode(view, given.views[view], shown[view]) for view in VIEWS}
    predictions = objective.decoder(model.together(tokens), shown)
    for view in VIEWS:
        patches = model.encoder(view).patches.split(given.views[view])
        expected, count = 0.0, 0
        for i in range(3):
            for n in set(range(patches.shape[1])) - set(shown[view][i].tolist()):
                normal = (patches[i, n] - patches[i, n].mean()) / patches[i, n].std(correction=0)
                expected += float((predictions[view][i, n] - normal).square().mean())
                count += 1
        assert output.terms[f"reconstruction/{view}"].item() == pytest.approx(expected / count, rel=1e-4)
        alone = F.normalize(model.alone(view, tokens[view]), dim=1)
        torch.testing.assert_close(output.embeddings[view], alone)


def test_the_embeddings_that_are_contrasted_see_one_view_only():
    given, other = batch(), batch()
    other.views["audio"] += torch.randn_like(other.views["audio"])
    before, after = (CAVMAE(branches(), VIEWS, **DECODER)(x) for x in (given, other))
    assert after.embeddings["video"].equal(before.embeddings["video"])
    assert not after.embeddings["audio"].equal(before.embeddings["audio"])
    assert after.terms["reconstruction/video"] != before.terms["reconstruction/video"]


def test_views_that_belong_together_are_found_by_what_is_saved():
    """The signs of a clip's patches are those of its sound: known from any patch."""
    torch.manual_seed(1)
    sign = torch.tensor([1.0, -1.0]).repeat(4)
    given = Batch(
        torch.arange(8), {v: sign.view(-1, *[1] * len(s)) + 0.1 * torch.randn(8, *s) for v, s in SHAPES.items()}
    )
    objective = CAVMAE(branches(), VIEWS, **DECODER, contrastive_weight=1.0)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
    for _ in range(60):
        objective(given).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    saved = branches()
    saved.load_state_dict(objective.branches.state_dict())
    z = {view: F.normalize(x, dim=1) for view, x in saved.eval()(given.views).items()}
    similarity, same = z["video"] @ z["audio"].T, sign[:, None] == sign
    assert similarity[same].min() > similarity[~same].max()


def test_a_batch_of_two_is_enough():
    objective = CAVMAE(branches(), VIEWS, **DECODER)
    loss = objective(batch(2)).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in objective.parameters())


def test_an_input_that_is_not_finite_gives_a_loss_that_is_not():
    given = batch()
    given.views["audio"][1] = math.nan
    assert not CAVMAE(branches(), VIEWS, **DECODER)(given).loss.isfinite()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mask_ratio": 0.0}, "mask_ratio=0.0; allowed: above 0 and below 1"),
        ({"temperature": 0.0}, "temperature=0.0; allowed: above 0"),
        ({"contrastive_weight": 0.0}, "contrastive_weight=0.0; allowed: above 0"),
        ({"views": ["video"]}, r"views=\['video'\]; allowed: two and more"),
        ({"views": ["video", "depth"]}, "view='depth'; allowed: views of the branches video, audio"),
        ({"branches": nn.Identity()}, "branches='Identity'; allowed: JointBranches"),
        ({"branches": Branches({"video": tiny_vit()})}, "branches='Branches'; allowed: JointBranches"),
    ],
)
def test_a_wrong_setting_is_named_beside_the_allowed_ones(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        CAVMAE(**{"branches": branches(), "views": VIEWS, **DECODER} | settings)
