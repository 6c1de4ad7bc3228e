"""`avssl.load`: a model answers as it did in its training, from wherever it lies."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.io import write_png

import avssl
from avssl.data import ImageFolder, MultiCamera, PackedVideos, VideoFolder
from avssl.data.clips import AudioView, VideoView
from avssl.data.pictures import ImageView
from avssl.data.scan import scan
from avssl.data.source import Source
from avssl.data.spec import build_source, source_spec, stored_statistics
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.image import ImageEval
from avssl.data.transforms.video import VideoEval
from avssl.errors import UserError
from avssl.evaluation.embeddings import Embeddings
from avssl.models.branches import Branches
from avssl.models.locate import locate
from avssl.models.pretrained import CONFIG, build_branches
from avssl.objectives import AVID, SimSiam
from avssl.objectives.base import Objective
from avssl.training.checkpoint import load as load_training

SETTINGS = {"epochs": 1, "batch_size": 4, "workers": 0, "accelerator": "cpu"}
STATISTICS = {"mean": [-40.25] * 32, "std": [11.125] * 32}
SPECTROGRAM = LogSpectrogram(16_000, n_fft=512, hop=160, n_mels=32, **STATISTICS)
VIEWS = {
    "video": VideoView(frames=4, fps=12.5, short_side=40, eval=VideoEval(24, resize=30, mean=(0.1, 0.2, 0.3))),
    "audio": AudioView(duration_s=1.0, rate_hz=16_000, jitter_s=0.25, train=SPECTROGRAM, eval=SPECTROGRAM),
}
PICTURE = ImageView(short_side=40, eval=ImageEval(24, resize=30, std=(0.3, 0.2, 0.1)))
SOURCES: dict[str, Callable[[], Source]] = {
    "videos": lambda: VideoFolder("~/videos", VIEWS, split="train", decoder="av"),
    "videos as they come": lambda: VideoFolder("videos"),
    "packed videos": lambda: PackedVideos("pack", VIEWS),
    "pictures": lambda: ImageFolder("pictures", {"image/0": PICTURE, "image/1": PICTURE}),
    "pictures as they come": lambda: ImageFolder(None, size=32),
    "drawn cameras": lambda: MultiCamera("rig", {"image": PICTURE}, views_per_instance=3, cameras=["a", "b"]),
    "a branch for each camera": lambda: MultiCamera(
        "rig", {"image": PICTURE}, views_per_instance=None, branches="per_camera"
    ),
    "cameras of videos": lambda: MultiCamera("rig", {"image": VIEWS["video"]}, period_s=0.5, offsets_s={"a": 1.5}),
}


def outputs(source: Source) -> list[torch.Tensor]:
    """What each view makes of the same frames or samples."""
    generator, found = torch.Generator().manual_seed(2), []
    for view in source.views.values():
        frames = torch.randint(0, 256, (4, 3, 48, 64), generator=generator).to(torch.uint8)
        samples = torch.randn(1, 16_000, generator=generator)
        given = {"video": frames, "image": frames[0], "audio": samples}[view.stream]
        found.append(view.eval(given))
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_a_kind_of_data_comes_back_from_json(name: str):
    source = SOURCES[name]()
    spec = source_spec(source)
    again = build_source(json.loads(json.dumps(spec)))
    assert type(again) is type(source)
    assert source_spec(again) == spec
    assert (again.root, again.manifest, again.split) == (None, None, None)
    assert "~" not in json.dumps(spec)
    assert all(a.equal(b) for a, b in zip(outputs(source), outputs(again), strict=True))
    for a, b in zip(source.views.values(), again.views.values(), strict=True):
        assert type(a) is type(b)
        assert a.duration_s == b.duration_s
    public = {key: value for key, value in vars(source).items() if key not in ("root", "manifest", "split", "views")}
    assert public == {key: vars(again)[key] for key in public}


def test_statistics_are_read_as_numbers():
    spec = source_spec(VideoFolder("videos", VIEWS))
    assert stored_statistics(spec, "audio") == (STATISTICS["mean"], STATISTICS["std"])
    assert stored_statistics(source_spec(VideoFolder("videos")), "audio") is None
    for wrong in (["x"], [float("nan")], "x", {"name": "os.system"}):
        spec["views"]["audio"]["eval"]["mean"] = wrong
        with pytest.raises(UserError, match="a number for each band"):
            stored_statistics(spec, "audio")
    with pytest.raises(UserError, match=r"data\.views\.sound: the checkpoint has none"):
        stored_statistics(spec, "sound")


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six instances of three cameras."""
    root = tmp_path_factory.mktemp("cameras") / "rig"
    for instance in range(6):
        for camera in range(3):
            file = root / f"i{instance}" / f"{camera}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            noise = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(10 * instance + camera))
            write_png(noise.to(torch.uint8), str(file))
    return root


class Made:
    """Makes an objective, and keeps it."""

    def __init__(self, spec: dict[str, Any], kind: type[Objective], **settings: Any) -> None:
        self.spec, self.kind, self.settings = spec, kind, settings
        self.objective: Objective | None = None

    def __call__(self, views: list[str], num_instances: int) -> Objective:
        branches = build_branches(self.spec, 8, views=views, fallback=next(iter(self.spec)))
        more = {"num_instances": num_instances} if self.kind is AVID else {}
        self.objective = self.kind(branches, views, 8, **more, **self.settings)
        return self.objective


PICTURES = {"image": {"encoder": {"name": "conv2d10", "width": 4, "channels": 3}, "head": {"hidden": []}}}
TINY = {"name": "vit", "patch": [8, 8], "preset": "tiny", "width": 48, "depth": 1}
JOINT = {
    "0": {"encoder": {**TINY, "size": [32, 32]}, "head": None},
    "1": {"encoder": {**TINY, "size": [32, 32], "pooling": "mean"}, "head": None},
    "2": {"encoder": {**TINY, "size": [32, 32]}, "head": None},
    "joint": {"depth": 2, "heads": 3},
}


@pytest.mark.parametrize(
    ("spec", "settings", "names"),
    [
        (PICTURES, {"views_per_instance": 2}, ["image"]),
        (PICTURES, {"views_per_instance": None}, ["image"]),
        (PICTURES, {"views_per_instance": None, "branches": "per_camera"}, ["0", "1", "2"]),
        (JOINT, {"views_per_instance": None, "branches": "per_camera"}, ["0", "1", "2"]),
    ],
    ids=["drawn", "all cameras", "a branch each", "shared layers"],
)
def test_a_model_of_cameras_answers_as_it_was_trained(
    spec: dict[str, Any], settings: dict[str, Any], names: list[str], cameras: Path, tmp_path: Path
):
    made = Made(spec, SimSiam)
    if "joint" in spec:
        made.settings["dim"] = 48
        made = MadeJoint(spec, SimSiam)
    run = avssl.fit(made, MultiCamera(cameras, size=32, **settings), out=tmp_path / "run", **SETTINGS)
    model = avssl.load(run)
    assert list(model.views) == names
    picture = torch.randint(0, 256, (3, 40, 40)).to(torch.uint8)
    z = model.embed(image=picture, normalize=False)
    assert made.objective is not None
    trained = made.objective.branches.eval()
    x = model.views[names[0]].eval(picture)[None]
    with torch.no_grad():
        expected = trained(dict.fromkeys(names, x))
    assert all(z[name].equal(expected[name]) for name in names)
    table = avssl.embed(model, cameras, tmp_path / "emb", workers=0)
    assert len(table) == (6 if len(names) == 3 else 18)
    model.save_pretrained(tmp_path / "export")
    exported = avssl.load(tmp_path / "export")
    assert exported.fingerprint == model.fingerprint
    assert exported.embed(image=picture, normalize=False)[names[0]].equal(expected[names[0]])


class MadeJoint(Made):
    def __call__(self, views: list[str], num_instances: int) -> Objective:
        self.objective = self.kind(build_branches(self.spec), views, 48)
        return self.objective


def test_a_model_of_a_pack_answers_as_it_was_trained(tiny_videos: Path, tmp_path: Path):
    avssl.pack(scan(tiny_videos), tmp_path / "pack", format="memmap", size=40, rate_hz=16_000)
    spec = {
        "video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 4}},
        "audio": {"encoder": {"name": "conv2d10", "width": 4}},
    }
    made = Made(spec, AVID, num_negatives=4)
    run = avssl.fit(made, PackedVideos(tmp_path / "pack", VIEWS), out=tmp_path / "run", **SETTINGS)
    model = avssl.load(run)
    assert isinstance(model.source, PackedVideos)
    file = next(tiny_videos.rglob("*.mp4"))
    z = model.embed(file)
    assert made.objective is not None
    expected = made.objective.branches.eval().state_dict()
    assert all(x.equal(expected[key]) for key, x in model.branches.state_dict().items())
    packed = avssl.embed(model, tmp_path / "pack", tmp_path / "of_pack", workers=0)
    files = avssl.embed(model, tiny_videos, tmp_path / "of_files", workers=0)
    assert packed.paths == files.paths
    assert model.similarity(z["audio"], files["audio"][files.paths.index(str(file.relative_to(tiny_videos)))]) > 0.999


class Own(nn.Module):
    """An encoder that keeps no argument."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_dim = width
        self.layers = nn.Sequential(nn.AdaptiveAvgPool3d(2), nn.Flatten(), nn.Linear(24, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x if x.ndim == 5 else x[:, None].expand(-1, 3, -1, -1, -1))


def own_branches() -> Branches:
    return Branches({"video": Own(8), "audio": Own(8)})


def test_modules_that_keep_no_arguments_train_and_are_filled(tiny_videos: Path, tmp_path: Path, capfd):
    objective = SimSiam(own_branches(), ["video", "audio"], 8)
    run = avssl.fit(objective, VideoFolder(tiny_videos, size=32), out=tmp_path / "run", **SETTINGS)
    config = json.loads((run.checkpoint / CONFIG).read_text())
    assert config["branches"] is None
    reason = f"{__name__}.Own keeps no attribute width: a checkpoint could not build it again; add self.width = width"
    assert config["branches_missing"] == reason
    with pytest.raises(UserError) as error:
        avssl.load(run)
    assert str(error.value).endswith(f"{reason}; allowed: avssl.load(..., branches=), the modules themselves")
    model = avssl.load(run, branches=own_branches())
    expected = objective.branches.state_dict()
    assert all(x.equal(expected[key]) for key, x in model.branches.state_dict().items())
    assert len(avssl.embed(model, tiny_videos, tmp_path / "emb", workers=0)) == 24
    with pytest.raises(UserError, match=r"model\.safetensors: holds another network: "):
        avssl.load(run, branches=Branches({"video": Own(9), "audio": Own(8)}))
    assert avssl.fit(
        SimSiam(own_branches(), ["video", "audio"], 8),
        VideoFolder(tiny_videos, size=32),
        out=tmp_path / "next",
        init=run,
        **SETTINGS,
    ).finished
    done = objective.state_dict()
    again = SimSiam(own_branches(), ["video", "audio"], 8)
    avssl.fit(again, VideoFolder(tiny_videos, size=32), out=run, resume="auto", **SETTINGS)
    assert all(x.equal(done[key]) for key, x in again.state_dict().items() if isinstance(x, torch.Tensor))


def halves(frames: torch.Tensor) -> torch.Tensor:
    return frames[..., :24, :24].float().permute(1, 0, 2, 3) / 255


def test_views_that_are_no_plain_names_train_and_are_given_again(tiny_videos: Path, tmp_path: Path):
    views = {**VIEWS, "video": VideoView(frames=4, fps=8, short_side=24, eval=halves)}
    spec = {
        "video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 4}},
        "audio": {"encoder": {"name": "conv2d10", "width": 4}},
    }
    run = avssl.fit(Made(spec, SimSiam), VideoFolder(tiny_videos, views), out=tmp_path / "run", **SETTINGS)
    with pytest.raises(UserError) as error:
        avssl.load(run)
    assert "config.json: data: the data's views are no plain names: " in str(error.value)
    assert str(error.value).endswith("; allowed: avssl.load(..., views=), the views themselves")
    for given in (views, VideoFolder(None, views)):
        model = avssl.load(run, views=given)
        assert model.embed(next(tiny_videos.rglob("*.mp4")))["video"].shape == (1, 8)
    assert avssl.fit(
        Made(spec, SimSiam), VideoFolder(tiny_videos, views), out=tmp_path / "run", resume="auto", **SETTINGS
    ).finished


class Mixed(nn.Module):
    """Branches that need all views at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 8)

    def forward(self, views: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        both = (views["image/0"] + views["image/1"]).mean((2, 3))
        return dict.fromkeys(views, self.layer(both))


def test_branches_that_need_all_views_at_once_train(cameras: Path, tmp_path: Path):
    objective = SimSiam(Mixed(), ["image/0", "image/1"], 8)
    run = avssl.fit(objective, MultiCamera(cameras, size=32), out=tmp_path / "run", **SETTINGS)
    assert json.loads((run.checkpoint / CONFIG).read_text())["branches"] is None


@pytest.mark.parametrize("place", ["run", "checkpoint", "config.json", "model.safetensors", "a link"])
def test_a_place_is_named_in_several_ways(place: str, tiny_run: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(tiny_run)
    places = {"run": tiny_run, "checkpoint": locate(tiny_run), "a link": tmp_path / "link"}
    where = places.get(place, locate(tiny_run) / place)
    assert avssl.load(where).fingerprint == avssl.load(str(where)).fingerprint == avssl.load(tiny_run).fingerprint


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("gone", "gone: no such folder; allowed: a run, a checkpoint, an exported folder, or USER/NAME"),
        ("gone/deeper/still", "no such folder"),
        ("", "no checkpoint is in it"),
        ("~nobody-of-this-name/run", "allowed: a run"),
        ("x" * 5000, "allowed: a run"),
        ("a\0b", "allowed: a run"),
        ("file.txt", "file.txt: no checkpoint; allowed"),
    ],
)
def test_a_place_that_is_none(place: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UserError) as error:
        avssl.load(place)
    assert words in str(error.value)
    assert len(str(error.value)) < 300


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the names and shapes of the published one."""
    shapes = dict(line.split(" ", 1) for line in (GOLDEN / "official_checkpoint_keys.txt").read_text().splitlines())
    generator = torch.Generator().manual_seed(0)

    def tensor(name: str) -> torch.Tensor:
        shape = literal_eval(shapes[name])
        if name.endswith("num_batches_tracked"):
            return torch.tensor(0)
        if len(shape) > 1:
            return torch.randn(shape, generator=generator) * float(np.sqrt(2 / np.prod(shape[1:])))
        return torch.ones(shape) if name.endswith(("weight", "running_var")) else torch.zeros(shape)

    criterion = {"nce_average.view1_mem": torch.randn(7, 128), "xModal.avg_exp_score": torch.tensor([2.25])}
    path = tmp_path_factory.mktemp("official") / "AVID.pth.tar"
    model = {f"module.{name}": tensor(name) for name in shapes}
    torch.save({"epoch": 1, "model": model, "train_criterion": criterion}, path)
    return path


LICENCE = "published under CC BY-NC 4.0, not for commercial use"
AVID_BRANCHES = {
    "video": {"encoder": "r2plus1d", "head": {"hidden": [512, 512]}},
    "audio": {"encoder": "conv2d10", "head": {"hidden": [512, 512]}},
}


def test_a_published_checkpoint_is_a_model(official: Path, tiny_videos: Path, tmp_path: Path, caplog):
    caplog.set_level("INFO", "avssl")
    model = avssl.load(official)
    assert caplog.text.count(LICENCE) == 1
    assert model.dims == {"video": 128, "audio": 128}
    file = next(tiny_videos.rglob("*.mp4"))
    z = model.embed(file)
    exported = avssl.load(model.save_pretrained(tmp_path / "export"))
    assert exported.embed(file)["video"].equal(z["video"])
    assert "CC BY-NC" in (tmp_path / "export" / "README.md").read_text()
    assert "CC BY-NC" in json.dumps(exported.notes)


@pytest.mark.parametrize("prefix", ["", "official:"])
def test_a_training_starts_from_a_published_checkpoint(
    prefix: str, official: Path, tiny_videos: Path, tmp_path: Path, caplog, capfd
):
    caplog.set_level("INFO", "avssl")

    def make(views: list[str], num_instances: int) -> Objective:
        return AVID(build_branches(AVID_BRANCHES, 128), views, 128, num_instances, num_negatives=4)

    settings = {**SETTINGS, "batch_size": 24}
    frozen = lambda parameters: torch.optim.SGD(parameters, lr=1e-30)  # noqa: E731
    views = {
        "video": VideoView(frames=2, fps=8, short_side=32, eval=VideoEval(32)),
        "audio": AudioView(duration_s=0.5, eval=LogSpectrogram(n_mels=16)),
    }
    run = avssl.fit(
        make,
        VideoFolder(tiny_videos, views),
        out=tmp_path / "run",
        init=f"{prefix}{official}",
        optimizer=frozen,
        **settings,
    )
    assert caplog.text.count(LICENCE) == 1
    assert f"from {prefix}{official}: encoders, partition" in " ".join(capfd.readouterr().out.split())
    found, expected = avssl.load(run).branches, avssl.load(official).branches
    assert found.video.encoder.stem[0].weight.equal(expected.video.encoder.stem[0].weight)
    assert found.audio.encoder.stem[0].weight.equal(expected.audio.encoder.stem[0].weight)
    assert load_training(run).objective["contrast.partition"] == 2.25
    assert avssl.load(run).notes["licence"].startswith("CC BY-NC")


def test_the_command_starts_from_a_published_checkpoint(
    official: Path, tiny_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
):
    main = importlib.import_module("avssl.cli.train").main
    words = ["experiment=smoke/cpu", "data.batch_size=24", "branches=avid", "data.views.video.frames=2"]
    monkeypatch.setattr(
        sys, "argv", ["avssl-train", str(tiny_videos), *words, f"init=official:{official}", f"out={tmp_path}/run"]
    )
    main()
    told = " ".join("".join(capfd.readouterr()).split())
    assert LICENCE in told
    assert f"from official:{official}: encoders" in told
    monkeypatch.setattr(sys, "argv", ["avssl-train", *words, f"init=official:{official}", f"out={tmp_path}/none"])
    with pytest.raises(SystemExit):
        main()
    assert "does not say which folder it was trained on; allowed: data.root=FOLDER" in capfd.readouterr().err
    monkeypatch.setattr(
        sys,
        "argv",
        ["avssl-train", str(tiny_videos), "experiment=smoke/cpu", f"init=official:{official}", f"out={tmp_path}/none"],
    )
    with pytest.raises(SystemExit):
        main()
    assert "the state of another model" in capfd.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_table_of_it_says_where_it_comes_from(tiny_run: Path, tiny_videos: Path, tmp_path: Path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    avssl.embed(run, tiny_videos, tmp_path / "emb", workers=0)
    card = Embeddings.read(tmp_path / "emb").card
    assert card["checkpoint"] == str(run)
    assert card["training_overlap"] == 24
