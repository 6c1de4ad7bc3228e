"""Each experiment config composes and trains, at a size for a test."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from torchvision.io import write_png

from avssl.cli.compose import CONFIGS, compose
from avssl.data.decode.readers import frames
from avssl.models.pretrained import build_branches

EXPERIMENTS = sorted(
    path.relative_to(CONFIGS / "experiment").with_suffix("").as_posix() for path in CONFIGS.glob("experiment/**/*.yaml")
)


RESNET = (
    "branches.image=torchvision/resnet18",
    "branches.image.head.hidden=[]",
    "embedding_dim=16",
)
VIT = ("branches.image.encoder.preset=tiny", "objective.decoder_width=16", "objective.decoder_depth=1")
AT_A_TESTS_SIZE = {
    "paper/barlow_twins_imagenet": RESNET,
    "paper/byol_imagenet": (*RESNET, "objective.predictor_width=16"),
    "paper/cav_mae_audioset": (
        "branches.joint.heads=3",
        "branches.video.encoder={preset: tiny, depth: 1}",
        "branches.audio.encoder={preset: tiny, depth: 1, size: [128, 96]}",
        "data.views.audio.duration_s=0.9",
        "data.views.audio.train.frames=96",
        "data.views.audio.eval.frames=96",
        "objective.decoder_width=16",
        "objective.decoder_depth=1",
    ),
    "paper/deepcluster_v2_imagenet": (*RESNET, "objective.num_prototypes=[2,3]", "data.local_size=32"),
    "paper/dino_imagenet": (
        "branches.image.encoder.preset=tiny",
        "branches.image.head.hidden=[]",
        "embedding_dim=16",
        "objective.num_prototypes=16",
    ),
    "paper/m_mae": VIT,
    "paper/mae_imagenet": VIT,
    "paper/moco_v2_imagenet": RESNET,
    "paper/seer_regnet": (
        "branches.image=torchvision/regnet_y_400mf",
        "branches.image.head.hidden=[]",
        "embedding_dim=16",
        "objective.num_prototypes=16",
        "data.local_size=32",
    ),
    "paper/simclr_imagenet": RESNET,
    "paper/simsiam_imagenet": (*RESNET, "objective.predictor_width=4"),
    "paper/swav_imagenet": (*RESNET, "objective.num_prototypes=16", "data.local_size=32", "objective.queue_size=16"),
    "paper/u_mae": VIT,
    "paper/vicreg_imagenet": RESNET,
}


@pytest.fixture(scope="session")
def tiny_pictures(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """A frame of each of the tiny videos."""
    root = tmp_path_factory.mktemp("pictures")
    for file in tiny_videos.rglob("*.mp4"):
        write_png(frames(file, [0.5])[0], str(root / f"{file.stem}.png"))
    return root


@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name != "smoke/cpu"])
def test_trains(run, tmp_path: Path, tiny_videos: Path, tiny_pictures: Path, experiment: str):
    config = compose("train", [f"experiment={experiment}", "name=any", "data.root=any"])
    if OmegaConf.select(config, "data.views.audio.front_end") == "kaldi":
        pytest.importorskip("torchaudio", reason="no torchaudio for this torch")
    banks = ("objective.num_negatives=12",) if "num_negatives" in config.objective else ()
    cma = ("objective.num_positives=3", "objective.num_negatives_within=4", "objective.warmup_epochs=1")
    pictures = "image" in experiment or experiment in ("paper/m_mae", "paper/seer_regnet", "paper/u_mae")
    done = run(
        "train",
        f"experiment=[{experiment},smoke/cpu]",
        *(AT_A_TESTS_SIZE.get(experiment) or ["branches=tiny"]),
        "data.clips_per_video=1",
        "trainer.precision=32-true",
        f"data.root={tiny_pictures if pictures else tiny_videos}",
        f"out={tmp_path}/run",
        *banks,
        *(cma if "cma" in experiment else ()),
    )
    assert done.status == 0, done.err


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_says_what_it_is_and_what_to_expect(experiment: str):
    head = (CONFIGS / "experiment" / f"{experiment}.yaml").read_text()
    for word in ("# Command:", "# Hardware:", "# Expected:"):
        assert word in head


def test_the_published_encoders_are_built(golden: Path):
    config = compose("train", ["experiment=paper/avid_kinetics", "name=avid", "data.root=any"])
    branches = build_branches(OmegaConf.to_container(config.branches, resolve=True), config.embedding_dim)
    for name, branch in branches.items():
        published = [
            math.prod(ast.literal_eval(shape))
            for key, _, shape in (
                line.partition(" ") for line in (golden / "official_checkpoint_keys.txt").read_text().splitlines()
            )
            if key.startswith(name) and not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        ]
        assert sum(p.numel() for p in branch.parameters()) == sum(published)
