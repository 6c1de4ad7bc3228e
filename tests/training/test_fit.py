"""`avssl.fit`: own objects, no hydra; the same training as the command's, stopped, resumed, and by the clock."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import avssl
from avssl.cli.compose import compose
from avssl.cli.training import make_source
from avssl.data import AudioView, VideoFolder, VideoView
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.errors import UserError
from avssl.models import MLP, Branch, Branches, Conv2D10, R2Plus1D
from avssl.objectives import AVID, InfoNCE
from avssl.training.run_log import read_metrics

QUICK = {"batch_size": 8, "workers": 0, "log_every": 1, "accelerator": "cpu"}


def small_branches() -> Branches:
    torch.manual_seed(0)
    return Branches(
        {
            "video": Branch(R2Plus1D(depth=10, width=4), MLP([32, 16], norm_last=True)),
            "audio": Branch(Conv2D10(width=4), MLP([32, 16], norm_last=True)),
        }
    )


def source(root: Path) -> VideoFolder:
    return VideoFolder(root, size=32)


def losses(run: avssl.Run) -> list[float]:
    return [row["loss"] for row in read_metrics(run.folder / "metrics.csv")]


def test_own_objects_train_and_the_model_comes_back(tiny_videos: Path, tmp_path: Path):
    objective = InfoNCE(small_branches(), ["video", "audio"])
    run = avssl.fit(objective, source(tiny_videos), out=tmp_path / "run", epochs=2, **QUICK)
    assert run.finished
    assert len(losses(run)) == 6
    assert "<svg " in run.report.read_text()
    model, query = avssl.load(run), next(tiny_videos.rglob("*.mp4"))
    z = model.embed(query)
    assert {view: tuple(x.shape) for view, x in z.items()} == {"video": (1, 16), "audio": (1, 16)}
    objective.branches.eval()
    with torch.no_grad():
        mine = objective.branches.state_dict()
    assert all(value.equal(mine[key]) for key, value in model.branches.state_dict().items())


def test_a_bank_objective_is_made_when_the_number_of_instances_is_known(tiny_videos: Path, tmp_path: Path):
    made = partial(AVID, small_branches(), dim=16)
    run = avssl.fit(made, source(tiny_videos), out=tmp_path / "run", epochs=1, **QUICK)
    from avssl.training.checkpoint import load

    assert load(run).objective["banks.video.vectors"].shape == (24, 16)


def test_it_is_the_training_of_the_command(run, tiny_videos: Path, tmp_path: Path):
    """The same seed and settings, once through configs and once without them."""
    words = ["experiment=smoke/cpu", "branches=tiny", "objective=infonce", "trainer.epochs=2", "embedding_dim=16"]
    done = run("train", str(tiny_videos), *words, f"out={tmp_path}/command")
    assert done.status == 0, done.err

    def made(views: list[str]) -> InfoNCE:
        from avssl.models import build_branches

        head = {"hidden": [], "norm_last": True}
        video, audio = {"name": "r2plus1d", "depth": 10, "width": 4}, {"name": "conv2d10", "width": 4}
        spec = {"video": {"encoder": video, "head": head}, "audio": {"encoder": audio, "head": head}}
        return InfoNCE(build_branches(spec, dim=16), views, temperature=0.1)

    fitted = avssl.fit(made, source(tiny_videos), out=tmp_path / "fit", epochs=2, **QUICK)
    assert losses(fitted) == losses(avssl.Run(tmp_path / "command"))


def test_the_packages_train_is_the_commands(tiny_videos: Path, tmp_path: Path):
    overrides = ["experiment=smoke/cpu", "branches=tiny"]
    made = avssl.train(tiny_videos, objective="infonce", out=tmp_path / "a (1), é", epochs=1, overrides=overrides)
    assert len(losses(made)) == 3
    with pytest.raises(UserError, match=r"out=.*holds a run already; allowed: resume=auto"):
        avssl.train(tiny_videos, objective="infonce", out=tmp_path / "a (1), é", epochs=1, overrides=overrides)
    with pytest.raises(UserError, match=r"data\.szie: no such key, did you mean data\.size\?"):
        avssl.train(tiny_videos, overrides=["data.szie=3"])
    with pytest.raises(UserError, match=r"data\.batch_size=25; allowed: 1 to 24"):
        avssl.train(tiny_videos, out=tmp_path / "b", overrides=[*overrides, "data.batch_size=25"])
    with pytest.raises(UserError, match=r"overrides='data\.size=3'; allowed: a list"):
        avssl.train(tiny_videos, overrides="data.size=3")


def test_minutes_end_a_training_and_its_schedule(tiny_videos: Path, tmp_path: Path):
    objective = InfoNCE(small_branches(), ["video", "audio"])
    run = avssl.fit(objective, source(tiny_videos), out=tmp_path / "run", minutes=0.05, **QUICK)
    rows = run.metrics
    assert run.finished
    assert len(rows) > 3  # of three steps an epoch
    assert rows[-1]["lr"] < 0.5 * max(row["lr"] for row in rows)
    again = avssl.fit(objective, source(tiny_videos), out=tmp_path / "run", minutes=0.05, resume="auto", **QUICK)
    assert len(again.metrics) == len(rows)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epoch": 3}, "epoch=3; allowed: the settings epochs, minutes"),
        ({"epochs": 0}, "epochs=0; allowed: whole numbers from 1"),
        ({"batch_size": 1}, "batch_size=1; allowed: 2 and more"),
        ({"batch_size": 99}, "batch_size=99; allowed: 1 to 24"),
        ({"minutes": -1}, "minutes=-1; allowed: minutes above 0"),
        ({"accelerator": "gpu"}, "accelerator='gpu'; allowed: auto, cpu, cuda"),
        ({"resume": "yes"}, "resume='yes'; allowed: never, auto"),
        ({"init": "nowhere"}, "nowhere: no such folder; allowed: a run, a checkpoint"),
    ],
)
def test_settings_name_their_own_argument(tiny_videos: Path, tmp_path: Path, settings: dict, words: str):
    objective = InfoNCE(small_branches(), ["video", "audio"])
    with pytest.raises(UserError) as caught:
        avssl.fit(objective, source(tiny_videos), out=tmp_path / "run", **QUICK | settings)
    assert words in str(caught.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


SCRIPT = """
import sys
import avssl
from avssl.data import AudioView, VideoFolder, VideoView
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import VideoEval
from avssl.models import build_branches
from avssl.objectives import InfoNCE

print("the script runs", flush=True)
class Same(VideoEval):
    pass
size = {"OWN": Same, "AVSSL": VideoEval}[sys.argv[3]]
branches = build_branches({"video": {"encoder": {"name": "r2plus1d", "depth": 10, "width": 4}},
                           "audio": {"encoder": {"name": "conv2d10", "width": 4}}}, dim=16)
views = {"video": VideoView(eval=size(32)), "audio": AudioView(eval=LogSpectrogram(n_mels=32))}
avssl.fit(InfoNCE(branches, ["video", "audio"]), VideoFolder(sys.argv[1], views), out=sys.argv[2], epochs=1,
          batch_size=8, workers=2, accelerator="cpu")
"""


@pytest.mark.parametrize("kind", ["AVSSL", "OWN"])
def test_a_script_without_a_main_guard(tiny_videos: Path, tmp_path: Path, kind: str):
    """Workers do not run it again; where they must, for a class of its own, the message names the guard."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tiny_videos), str(tmp_path / "run"), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if kind == "AVSSL":
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("the script runs") == 1
    else:
        assert done.returncode != 0
        assert 'allowed: the call below if __name__ == "__main__":' in done.stderr


def test_a_source_is_built_once_and_the_config_stays_as_it_was(tiny_videos: Path):
    config = compose("train", [f"data.root={tiny_videos}"])
    made = make_source(config.data)
    assert isinstance(made, VideoFolder)
    assert made.root == tiny_videos
    with pytest.raises(Exception, match="read-only"):
        config.data.root = "elsewhere"


def test_the_default_views_are_those_of_the_config(tiny_videos: Path):
    mine, theirs = VideoFolder(tiny_videos), make_source(compose("train", [f"data.root={tiny_videos}"]).data)
    sample = torch.randint(0, 255, (8, 3, 128, 128), dtype=torch.uint8)
    sound = torch.rand(1, 48_000) - 0.5
    for view, raw in (("video", sample), ("audio", sound)):
        for use in ("train", "eval"):
            torch.manual_seed(1)
            first = getattr(mine.views[view], use)(raw)
            torch.manual_seed(1)
            assert getattr(theirs.views[view], use)(raw).equal(first)
    views = {"video": VideoView(train=VideoTrain(32), eval=VideoEval(32)), "audio": AudioView(eval=LogSpectrogram())}
    assert VideoFolder(tiny_videos, views).view_names() == ["video", "audio"]
