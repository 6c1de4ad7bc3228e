"""A checkpoint with the published names, shapes and layout stands in for the published files.

golden/official_model.npz holds what the published network answers with the weights that `recipe` makes.
"""

from __future__ import annotations

from ast import literal_eval
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from avssl.models.official import load_official, official_name
from avssl.types import UserError

GOLDEN = Path(__file__).parents[1] / "golden"


def recipe(i: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    x = np.sin(0.7 * np.arange(prod(shape)) + 1.3 * i)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("running_var"):
        x = 1 + 0.25 * x
    elif name.endswith("running_mean"):
        x = 0.05 * x
    elif len(shape) == 1:
        x = 1 + 0.1 * x if name.endswith("weight") else 0.05 * x
    else:
        x = x * np.sqrt(2 / prod(shape[1:]))
    return torch.from_numpy(x.reshape(shape).astype(np.float32))


@pytest.fixture(scope="module")
def model() -> dict[str, torch.Tensor]:
    lines = (GOLDEN / "official_checkpoint_keys.txt").read_text().splitlines()
    shapes = dict(line.split(" ", 1) for line in lines)
    return {f"module.{name}": recipe(i, name, literal_eval(shapes[name])) for i, name in enumerate(sorted(shapes))}


@pytest.fixture(scope="module")
def criterion() -> dict[str, torch.Tensor]:
    banks = {f"nce_average.view{i}_mem": torch.randn(7, 128) for i in (1, 2)}
    return banks | {"wModal.avg_exp_score": torch.tensor(-1), "xModal.avg_exp_score": torch.tensor([2.25])}


@pytest.fixture(scope="module")
def checkpoint(model, criterion, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("official") / "published.pth.tar"
    optimizer = {"state": {}, "param_groups": [{"lr": 2e-4}]}
    torch.save({"epoch": 30, "model": model, "optimizer": optimizer, "train_criterion": criterion}, path)
    return path


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "official_model.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "file.pth.tar")
    return tmp_path / "file.pth.tar"


@torch.no_grad()
def test_the_published_network_gives_the_same_embeddings(checkpoint, golden):
    branches = load_official(checkpoint).branches.eval()
    z = branches({"video": golden["video"], "audio": golden["audio"]})
    for view in ("video", "audio"):
        torch.testing.assert_close(z[view], golden[f"emb_{view}"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_bands_first_is_the_same_function_of_the_transposed_spectrogram(checkpoint, golden):
    branches = load_official(checkpoint, bands_first=True).branches.eval()
    z = branches({"video": golden["video"], "audio": golden["audio"].mT})
    for view in ("video", "audio"):
        torch.testing.assert_close(z[view], golden[f"emb_{view}"], atol=1e-4, rtol=0)


def test_banks_and_partition_come_with_it(checkpoint, criterion):
    _, banks, partition = load_official(checkpoint)
    assert banks is not None
    assert torch.equal(banks["video"], criterion["nce_average.view1_mem"])
    assert torch.equal(banks["audio"], criterion["nce_average.view2_mem"])
    assert partition is not None
    assert partition.shape == ()
    assert partition.item() == 2.25


def test_a_checkpoint_without_criterion_has_neither_banks_nor_partition(model, tmp_path):
    bare = {name.removeprefix("module."): value for name, value in model.items()}
    official = load_official(saved(tmp_path, {"model": bare}))
    assert official.banks is None
    assert official.partition is None


def test_names_of_ours_are_translated():
    names = {
        "video.encoder.stem.1.running_mean": "video_model.conv1.1.running_mean",
        "video.encoder.layers.2.0.residual.weight": "video_model.conv4x.0.res_conv.weight",
        "video.encoder.layers.0.1.body.9.weight": "video_model.conv2x.1.tmp_conv2.weight",
        "video.encoder.layers.0.1.norm.bias": "video_model.conv2x.1.out_bn.bias",
        "audio.encoder.layers.3.4.weight": "audio_model.block4.bn2.weight",
        "audio.head.4.bias": "audio_proj.projection.4.bias",
    }
    assert {ours: official_name(ours) for ours in names} == names


def test_missing_tensors_are_named_with_the_file(model, tmp_path):
    left = {name: value for name, value in model.items() if "audio_proj" not in name}
    path = saved(tmp_path, {"model": left})
    with pytest.raises(UserError) as caught:
        load_official(path)
    assert str(path) in str(caught.value)
    assert "lacks 6 of" in str(caught.value)
    assert "audio_proj.projection.0.bias" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tensors_of_another_shape_are_named(model, tmp_path):
    path = saved(tmp_path, {"model": model | {"module.audio_proj.projection.4.bias": torch.zeros(64)}})
    with pytest.raises(UserError, match=r"other shapes \(audio_proj\.projection\.4\.bias\)"):
        load_official(path)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"model": torch.zeros(2)}])
def test_another_checkpoint_is_refused(content, tmp_path):
    path = saved(tmp_path, content)
    with pytest.raises(UserError, match=r"file\.pth\.tar: .* no entry `model`"):
        load_official(path)


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_a_file_that_is_absent_or_no_checkpoint_is_named_in_one_line(content, tmp_path):
    path = tmp_path / "some.pth.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"^[^\n]*some\.pth\.tar: cannot be read as a checkpoint[^\n]*$"):
        load_official(path)
