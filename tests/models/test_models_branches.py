from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from avssl.models.audio_conv import Conv2D10
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.r2plus1d import R2Plus1D


@pytest.fixture
def branches() -> Branches:
    video = Branch(R2Plus1D(depth=10, width=2), MLP([16, 16, 6]))
    return Branches({"video": video, "audio": Branch(Conv2D10(width=2), MLP([16, 6]))})


@pytest.fixture
def views() -> dict[str, torch.Tensor]:
    return {"audio": torch.randn(3, 1, 16, 20), "video": torch.randn(3, 3, 4, 16, 16)}


def test_every_view_gets_the_embedding_of_its_branch(branches, views):
    branches.eval()
    z = branches(views)
    assert list(z) == ["audio", "video"]
    for view in views:
        assert torch.equal(z[view], branches[view].head(branches[view].encoder(views[view])))
        assert z[view].shape == (3, 6)


def test_features_come_before_the_head_and_projected_are_the_embeddings(branches, views):
    branches.eval()
    features = branches.features(views)
    assert {view: tuple(f.shape) for view, f in features.items()} == {"audio": (3, 16), "video": (3, 16)}
    z, projected = branches(views), branches.project(features)
    assert all(torch.equal(z[view], projected[view]) for view in views)


def test_cameras_share_the_branch_before_the_slash():
    branches = Branches({"image": Branch(nn.Flatten(), MLP([12, 4]))})
    x = torch.randn(5, 3, 2, 2)
    z = branches({"image/cam0": x, "image/cam1": x, "image": x + 1})
    assert torch.equal(z["image/cam0"], z["image/cam1"])
    assert not torch.equal(z["image/cam0"], z["image"])
    z["image/cam1"].sum().backward()
    assert branches["image"].head[0].weight.grad is not None


def test_a_module_that_is_no_branch_is_an_encoder_without_head():
    branches = Branches({"video": nn.Linear(4, 2)})
    x = torch.randn(3, 4)
    assert torch.equal(branches({"video": x})["video"], branches.features({"video": x})["video"])


def test_a_view_without_branch_is_named_beside_the_branches(branches):
    with pytest.raises(ValueError, match=r"view 'image/cam0' has no branch: the branches are video, audio"):
        branches({"image/cam0": torch.zeros(1, 3, 8, 8)})


@pytest.mark.parametrize("name", ["r2plus1d_18", "mc3_18"])
def test_a_torchvision_video_model_is_an_encoder(name):
    backbone = getattr(torchvision.models.video, name)(num_classes=128)
    branches = Branches({"video": Branch(backbone, MLP([128, 8]))}).eval()
    views = {"video": torch.randn(2, 3, 4, 32, 32)}
    assert branches.features(views)["video"].shape == (2, 128)
    assert branches(views)["video"].shape == (2, 8)


def test_a_torchvision_image_model_is_an_encoder_of_every_camera():
    branches = Branches({"image": torchvision.models.mobilenet_v3_small(num_classes=128)}).eval()
    z = branches({f"image/cam{i}": torch.randn(2, 3, 32, 32) for i in range(3)})
    assert {view: tuple(e.shape) for view, e in z.items()} == {f"image/cam{i}": (2, 128) for i in range(3)}
