"""torchvision's and timm's models, and one's own class, as encoders: trained and embedded through the commands."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.io import write_png
from torchvision.models import get_model

import avssl
from avssl.errors import UserError
from avssl.evaluation.embeddings import Embeddings
from avssl.models.pretrained import build_branches
from avssl.models.timm_encoder import TimmEncoder
from avssl.models.torchvision_encoder import TorchvisionEncoder

SMOKE = ("experiment=smoke/cpu", "objective=simsiam", "data.batch_size=4")
OWN = """
from torch import nn

class MyEncoder(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.width, self.out_dim = width, width
        self.layer = nn.Conv3d(3, width, 3)

    def forward(self, x):
        return self.layer(x).mean((2, 3, 4))
"""


class Done(str):
    status = 0


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Call a command; what it wrote, with its status."""

    def call(name: str, *arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", [f"avssl-{name}", *map(str, arguments)])
        status: object = 0
        try:
            importlib.import_module(f"avssl.cli.{name}").main()
        except SystemExit as stop:
            status = stop.code
        done = Done("".join(capfd.readouterr()))
        done.status = int(str(status))
        return done

    return call


@pytest.fixture(scope="module")
def few_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from avssl.data.synthetic import write_synthetic

    root = tmp_path_factory.mktemp("few") / "videos"
    write_synthetic(root, clips=4, seed=3, size=32, workers=0)
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures") / "all"
    root.mkdir()
    for number in range(4):
        noise = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(number))
        write_png(noise.to(torch.uint8), str(root / f"{number}.png"))
    return root


def trained_and_embedded(run: Callable[..., Done], root: Path, folder: Path, *words: str, trust: str = "false") -> None:
    done = run("train", root, *SMOKE, *words, f"out={folder}/run")
    assert done.status == 0, done
    done = run("embed", f"{folder}/run", root, f"out={folder}/emb", "data.workers=0", f"trust={trust}")
    assert done.status == 0, done
    embeddings = Embeddings.read(folder / "emb")
    assert len(embeddings) == 4
    assert all(torch.from_numpy(embeddings[view]).isfinite().all() for view in embeddings.views)


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18"])
def test_a_video_network_of_torchvision(run, name: str, few_videos: Path, tmp_path: Path):
    words = ("branches=tiny", f"branches.video=torchvision/{name}", "data.views.video.frames=4")
    trained_and_embedded(run, few_videos, tmp_path, *words)


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "efficientnet_b0", "vit_b_16"])
def test_an_image_network_of_torchvision(run, name: str, pictures: Path, tmp_path: Path):
    size = 224 if name == "vit_b_16" else 32
    words = ("data=images", f"data.size={size}", "branches=image_tiny", f"branches.image=torchvision/{name}")
    trained_and_embedded(run, pictures, tmp_path, *words)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_an_image_network_of_timm(run, name: str, pictures: Path, tmp_path: Path):
    pytest.importorskip("timm")
    words = ("data=images", "data.size=32", "branches=image_tiny", f"branches.image=timm/{name}")
    trained_and_embedded(run, pictures, tmp_path, *words)


def test_an_encoder_with_its_arguments(run, pictures: Path, tmp_path: Path):
    pytest.importorskip("timm")
    words = ("data=images", "branches=image_tiny", "branches.image.encoder={name: timm/vit_tiny_patch16_224, size: 32}")
    trained_and_embedded(run, pictures, tmp_path, *words)
    encoder = avssl.load(tmp_path / "run").branches.image.encoder
    assert (encoder.size, encoder.network.pos_embed.shape[1]) == (32, 5)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_a_spectrogram_is_taken_as_a_picture_of_one_channel(run, name: str, few_videos: Path, tmp_path: Path):
    pytest.importorskip("timm")
    trained_and_embedded(run, few_videos, tmp_path, "branches=tiny", f"branches.audio={name}")


def test_ones_own_class(run, few_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_own_encoder.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(before))
    name, words = "my_own_encoder.MyEncoder", ("branches=tiny", "branches.video=my_own_encoder.MyEncoder")
    trained_and_embedded(run, few_videos, tmp_path, *words, trust=name)
    again = ("embed", f"{tmp_path}/run", few_videos, f"out={tmp_path}/emb2", "data.workers=0")

    def forgotten() -> None:
        sys.modules.pop("my_own_encoder", None)
        sys.path[:] = before

    forgotten()
    try:
        done = run(*again)
        assert done.status == 2
        assert f"branches.video.encoder: needs {name}, code that is not avssl's; allowed: trust=true" in done
        done = run(*again, "trust=true")  # a checkpoint's name does not put the working folder on the path
        assert done.status == 2
        assert f"{name} cannot be imported (No module named 'my_own_encoder')" in done
        assert f"trust={name}" in done
        done = run(*again, "trust=[other.Encoder]")
        assert f"needs {name}" in done
        assert "my_own_encoder" not in sys.modules
        sys.path.append(str(tmp_path))
        done = run(*again, "trust=true")
        assert done.status == 0, done
        assert f"importing {name}, which branches.video.encoder names" in " ".join(done.split())
        forgotten()
        with pytest.raises(UserError, match=f"needs {re.escape(name)}"):
            avssl.load(tmp_path / "run")
        sys.path.append(str(tmp_path))
        model = avssl.load(tmp_path / "run", trust=name)
        assert model.branches.video.encoder.width == 6
        model.save_pretrained(tmp_path / "export")
        assert avssl.load(tmp_path / "export", trust=[name]).fingerprint == model.fingerprint
    finally:
        forgotten()


@pytest.mark.parametrize("trust", ["1", "yes please", "[]", "[3]", "os.system()"])
def test_trust_is_true_or_names(run, trust: str, tiny_run: Path, few_videos: Path, tmp_path: Path):
    done = run("embed", tiny_run, few_videos, f"out={tmp_path}/emb", f"trust={trust}")
    assert done.status == 2
    assert "allowed: true, false, or the names of classes" in done


SHAPES = {
    "a ViT of another size": (
        "pictures",
        ("data=images", "branches=image_tiny", "branches.image=torchvision/vit_b_16"),
        "data.views.image/0: its encoder does not take an input of shape [3, 32, 32] (Wrong image height!",
    ),
    "our ViT of another size": (
        "pictures",
        ("data=images", "branches=image_vit", "branches.image.encoder.size=[64,64]"),
        "data.views.image/0: its encoder does not take an input of shape [3, 32, 32] (input [channels *size]=",
    ),
    "a ViT of timm's": (
        "pictures",
        ("data=images", "branches=image_tiny", "branches.image=timm/vit_tiny_patch16_224", "data.size=40"),
        "does not take an input of shape [3, 40, 40] (",
    ),
    "clips in an image network": (
        "videos",
        ("branches=tiny", "branches.video=torchvision/resnet18"),
        "data.views.video: its encoder does not take an input of shape [3, 8, 32, 32] (",
    ),
    "sound in a video network": (
        "videos",
        ("branches=tiny", "branches.audio=torchvision/r3d_18"),
        "data.views.audio: its encoder does not take an input of shape [1, 64, 200] (",
    ),
    "pictures in an encoder of sound": (
        "pictures",
        ("data=images", "branches=image_tiny", "branches.image.encoder.channels=1"),
        "data.views.image/0: its encoder does not take an input of shape [3, 32, 32] (",
    ),
}


@pytest.mark.parametrize("what", SHAPES)
def test_an_input_that_does_not_fit(run, what: str, pictures: Path, few_videos: Path, tmp_path: Path):
    kind, words, said = SHAPES[what]
    if "timm/" in " ".join(words):
        pytest.importorskip("timm")
    done = run("train", pictures if kind == "pictures" else few_videos, *SMOKE, *words, f"out={tmp_path}/run")
    assert done.status == 2, done
    assert said in done
    assert "Traceback" not in done
    assert not (tmp_path / "run").exists()


NAMES = {
    "branches.video=torchvision/r4d_18": "branches.video.encoder: model='r4d_18'; allowed: torchvision's classifiers",
    "branches.video=torchvision/squeezenet1_0": "model='squeezenet1_0'; allowed: torchvision's classifiers whose last",
    "branches.video=torchvision/googlenet": "model='googlenet'; allowed: torchvision's classifiers",
    "branches.video=timm/nothing_such": "model='nothing_such'; allowed: one of timm.list_models()",
    "branches.video=gone_module.Encoder": "gone_module.Encoder cannot be imported (No module named 'gone_module')",
    "branches.video=torch.nn.Gone": "torch.nn.Gone cannot be imported (module 'torch.nn' has no attribute 'Gone')",
    "branches.video=torch.nn.Identity": "allowed: an encoder that says in `out_dim` how long its output is",
    "branches.video=os.system": "branches.video.encoder: os.system is no Module",
    "branches.video=pathlib.Path": "branches.video.encoder: pathlib.Path is no Module",
    "branches.video.pretrained=true": "branches.video.pretrained=True; allowed: false, or a file of weights",
    "branches.video.encoder.width=0": "branches.video.encoder: width=0; allowed: 1 and more",
    "branches.video.encoder.width=wide": "branches.video.encoder.width='wide'; allowed: int",
}


@pytest.mark.parametrize("word", NAMES)
def test_a_name_that_is_no_encoder(run, word: str, few_videos: Path, tmp_path: Path):
    if "timm/" in word:
        pytest.importorskip("timm")
    done = run("train", few_videos, *SMOKE, "branches=tiny", word, f"out={tmp_path}/run")
    assert done.status == 2, done
    assert NAMES[word] in done
    assert not (tmp_path / "run").exists()


def resnet() -> torch.nn.Module:
    torch.manual_seed(5)
    return get_model("resnet18", weights=None)


def same(encoder: torch.nn.Module, network: torch.nn.Module) -> bool:
    mine, theirs = encoder.state_dict(), network.state_dict()
    return all(mine[f"network.{key}"].equal(theirs[key]) for key in theirs if not key.startswith("fc."))


def test_torchvisions_own_weights_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `pretrained=true` fetches lies where torch.hub looks first."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(resnet().state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    branches = build_branches({"image": {"encoder": "torchvision/resnet18", "pretrained": True}}, 8)
    assert same(branches["image"].encoder, resnet())


def test_timms_own_weights_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `pretrained=true` fetches lies in the Hub's cache."""
    timm = pytest.importorskip("timm")
    from huggingface_hub import constants

    torch.manual_seed(5)
    network = timm.create_model("resnet18")
    name = f"models--{network.default_cfg['hf_hub_id'].replace('/', '--')}"
    snapshot = tmp_path / name / "snapshots" / ("0" * 40)
    for folder in (snapshot, tmp_path / name / "refs"):
        folder.mkdir(parents=True)
    (tmp_path / name / "refs" / "main").write_text("0" * 40)
    save_file(network.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    branches = build_branches({"image": {"encoder": "timm/resnet18", "pretrained": True}}, 8)
    assert same(branches["image"].encoder, network)
    with pytest.raises(UserError, match=r"pretrained=true: no weights of timm/resnet34 \(.*\); allowed: false, a file"):
        build_branches({"image": {"encoder": "timm/resnet34", "pretrained": True}}, 8)


def test_weights_that_cannot_be_fetched_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"half a fi")
    with pytest.raises(UserError) as error:
        TorchvisionEncoder("resnet18", pretrained=True)
    assert str(error.value).startswith("pretrained=true: no weights of torchvision/resnet18 (")
    assert "\n" not in str(error.value)


LIBRARY = {
    "plain.pth": lambda state: state,
    "plain.safetensors": lambda state: state,
    "module.pt": lambda state: {f"module.{key}": value for key, value in state.items()},
    "entry.pth.tar": lambda state: {"state_dict": state, "epoch": 3},
    "ours.pt": lambda state: {f"network.{key}": value for key, value in state.items()},
}


@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_librarys_file_with_its_classifier(library: str, name: str, tmp_path: Path):
    if library == "timm":
        pytest.importorskip("timm")
    content, file = LIBRARY[name](resnet().state_dict()), tmp_path / name
    save_file(content, file) if name.endswith("safetensors") else torch.save(content, file)
    spec = {"image": {"encoder": f"{library}/resnet18", "pretrained": str(file)}}
    assert same(build_branches(spec, 8)["image"].encoder, resnet())


def test_a_file_on_the_command_line(run, pictures: Path, tmp_path: Path):
    torch.save(resnet().state_dict(), tmp_path / "w.pth")
    words = ("data=images", "branches=image_resnet18", f"branches.image.pretrained={tmp_path}/w.pth")
    trained_and_embedded(run, pictures, tmp_path, *words)
    torch.save(get_model("resnet34", weights=None).state_dict(), tmp_path / "other.pth")
    words = ("data=images", "branches=image_resnet18", f"branches.image.pretrained={tmp_path}/other.pth")
    done = run("train", pictures, *SMOKE, *words, f"out={tmp_path}/wrong")
    assert done.status == 2
    assert (
        f"pretrained={tmp_path}/other.pth: holds another network: it has besides network.layer1.2.conv1.weight" in done
    )
    assert not (tmp_path / "wrong").exists()


def test_one_channel_is_three_times_the_same():
    x = torch.randn(2, 1, 32, 40)
    for kind in (TorchvisionEncoder, TimmEncoder):
        if kind is TimmEncoder:
            pytest.importorskip("timm")
        encoder = kind("resnet18").eval()
        with torch.no_grad():
            assert encoder(x).equal(encoder(x.repeat(1, 3, 1, 1)))
