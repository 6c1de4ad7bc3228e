from __future__ import annotations

import pytest
import torch

from avssl.models.branches import Branches
from avssl.models.joint import JointBranches
from avssl.models.transformer import Attention, Transformer
from avssl.models.vit import PRESETS, VisionTransformer

INPUTS = {
    "image": (3, [8, 12], [4, 4], 6),
    "clip": (3, [4, 8, 8], [2, 4, 4], 8),
    "spectrogram": (1, [16, 20], [8, 4], 10),
}


def small(channels: int, size: list[int], patch: list[int], **settings) -> VisionTransformer:
    return VisionTransformer(size, patch, channels, width=24, depth=2, heads=3, **settings)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_any_kind_of_input_gives_one_vector(kind, pool):
    channels, size, patch, count = INPUTS[kind]
    encoder = small(channels, size, patch, pooling=pool)
    x = torch.randn(2, channels, *size)
    tokens = encoder.tokens(x)
    assert tokens.shape == (2, 1 + count, 24)
    expected = tokens[:, 0] if pool == "cls" else torch.stack([tokens[:, n] for n in range(1, 1 + count)]).mean(0)
    torch.testing.assert_close(encoder(x), expected)
    assert encoder.out_dim == 24


def test_hidden_patches_do_not_matter_and_shown_ones_do():
    encoder = small(3, [8, 8], [4, 4])
    x, shown = torch.randn(2, 3, 8, 8), torch.tensor([[0, 3], [1, 2]])
    other = x.clone()
    other[0, :, :4, 4:] += 1  # patch 1 of the first image, which is hidden there
    assert encoder.tokens(other, shown).equal(encoder.tokens(x, shown))
    other[1, :, :4, 4:] += 1  # patch 1 of the second, which is shown
    assert not encoder.tokens(other, shown)[1].equal(encoder.tokens(x, shown)[1])


def test_showing_all_patches_in_another_order_only_reorders_the_tokens():
    encoder = small(3, [8, 8], [4, 4])
    x, order = torch.randn(2, 3, 8, 8), torch.tensor([[2, 0, 3, 1]] * 2)
    tokens, turned = encoder.tokens(x), encoder.tokens(x, order)
    torch.testing.assert_close(turned[:, 0], tokens[:, 0])
    torch.testing.assert_close(turned[:, 1:], tokens[:, 1:][:, [2, 0, 3, 1]])


def test_the_place_of_a_patch_matters():
    encoder = small(3, [8, 8], [4, 4], pooling="mean")
    x = torch.randn(1, 3, 8, 8)
    assert not torch.allclose(encoder(x), encoder(x.flip(2)), atol=1e-4)


@pytest.mark.parametrize(("preset", "millions"), [("tiny", 5.5), ("small", 21.7), ("base", 85.8), ("large", 303.3)])
def test_presets_have_the_published_numbers_of_parameters(preset, millions):
    with torch.device("meta"):
        encoder = VisionTransformer([224, 224], [16, 16], preset=preset)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)
    assert encoder.out_dim == PRESETS[preset][0]


def test_settings_replace_those_of_the_preset():
    encoder = VisionTransformer([8, 8], [4, 4], preset="tiny", depth=2)
    assert len(encoder.transformer.blocks) == 2
    assert encoder.out_dim == 192


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": [10, 8]}, r"size=\[10, 8\]; allowed: multiples of patch=\[4, 4\]"),
        ({"preset": "giant"}, "preset='giant'; allowed: tiny, small, base, large"),
        ({"pooling": "max"}, "pooling='max'; allowed: cls, mean"),
        ({"heads": 5}, "heads=5; allowed: divisors of width=192"),
        ({"depth": -1}, "depth=-1; allowed: 1 and more"),
    ],
)
def test_a_wrong_setting_is_named_beside_the_allowed_ones(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        VisionTransformer(**{"size": [8, 8], "patch": [4, 4], "preset": "tiny"} | settings)


def test_an_input_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"=\[3, 8, 12\]; allowed: \[3, 8, 8\]"):
        small(3, [8, 8], [4, 4])(torch.randn(2, 3, 8, 12))


def test_attention_is_its_definition():
    attention, x = Attention(6, 2), torch.randn(1, 4, 6)
    q, k, v = (attention.inputs(x)[0, :, 6 * i : 6 * i + 6] for i in range(3))
    heads = []
    for columns in (slice(0, 3), slice(3, 6)):
        weights = (q[:, columns] @ k[:, columns].T / 3**0.5).softmax(1)
        heads.append(weights @ v[:, columns])
    torch.testing.assert_close(attention(x)[0], attention.output(torch.cat(heads, 1)))


def test_kinds_share_weights_and_differ_in_their_norms():
    shared, x = Transformer(6, 2, 2, kinds=2), torch.randn(2, 3, 6)
    torch.testing.assert_close(shared(x, 0), shared(x, 1))
    with torch.no_grad():
        shared.blocks[0].mlp_norms[1].bias += 1
    assert not torch.allclose(shared(x, 0), shared(x, 1))


@pytest.fixture
def joint() -> JointBranches:
    torch.manual_seed(0)
    return JointBranches({"video": small(3, [2, 8, 8], [1, 4, 4]), "audio": small(1, [8, 12], [4, 4])}, heads=4)


VIEWS = {"video": (3, 2, 8, 8), "audio": (1, 8, 12)}


def views() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {view: torch.randn(2, *shape, generator=generator) for view, shape in VIEWS.items()}


def test_a_view_is_embedded_alone_through_the_joint_layers(joint):
    both, x = joint(views()), views()
    assert torch.equal(joint({"audio": x["audio"]})["audio"], both["audio"])
    tokens = joint.encoders["audio"].tokens(x["audio"])[:, 1:]
    torch.testing.assert_close(both["audio"], joint.joint(tokens, 2).mean(1))
    before = both["audio"].detach()
    with torch.no_grad():
        joint.joint.blocks[0].mlp[0].weight.neg_()
    assert not torch.allclose(joint(x)["audio"], before)


def test_the_joint_model_is_used_as_branches_are(joint):
    embeddings, features = joint(views()), joint.features(views())
    projected = joint.project(features)
    assert list(projected) == ["video", "audio"]
    for view in VIEWS:
        assert projected[view].shape == (2, 24)
        assert projected[view].equal(embeddings[view])


def test_together_every_view_sees_the_others(joint):
    tokens = {view: joint.encode(view, x) for view, x in views().items()}
    changed = {**tokens, "audio": tokens["audio"] + 1}
    assert tokens["video"].shape == (2, 8, 24)
    assert joint.together(tokens)["audio"].shape == (2, 6, 24)
    assert not torch.allclose(joint.together(tokens)["video"], joint.together(changed)["video"])


def test_cameras_share_an_encoder_of_the_joint_model():
    joint, x = JointBranches({"image": small(3, [8, 8], [4, 4])}, heads=4), torch.randn(2, 3, 8, 8)
    z = joint({"image/cam0": x, "image/cam1": x})
    assert z["image/cam0"].equal(z["image/cam1"])


def test_mistakes_in_a_joint_model_are_named(joint):
    wider = VisionTransformer([8, 8], [4, 4], width=12, depth=1, heads=3)
    with pytest.raises(ValueError, match=r"width=.*'a': 24.*'b': 12.*allowed: one width"):
        JointBranches({"a": small(3, [8, 8], [4, 4]), "b": wider})
    with pytest.raises(ValueError, match="view='depth'; allowed: views of the branches video, audio"):
        joint({"depth": torch.randn(2, 1, 8, 8)})


def test_a_vision_transformer_is_an_encoder_of_every_camera():
    branches = Branches({"image": small(3, [8, 8], [4, 4])})
    z = branches({f"image/cam{i}": torch.randn(2, 3, 8, 8) for i in range(2)})
    assert {view: tuple(x.shape) for view, x in z.items()} == {"image/cam0": (2, 24), "image/cam1": (2, 24)}
