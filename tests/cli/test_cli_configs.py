"""Each experiment config composes and trains, at a size for a test."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from avssl.cli.common import CONFIGS

EXPERIMENTS = sorted(
    path.relative_to(CONFIGS / "experiment").with_suffix("").as_posix() for path in CONFIGS.glob("experiment/**/*.yaml")
)


@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name != "smoke/cpu"])
def test_trains(run, tmp_path: Path, tiny_videos: Path, experiment: str):
    banks = () if experiment == "demo" else ("objective.num_negatives=12",)
    cma = ("objective.num_positives=3", "objective.num_negatives_within=4", "objective.warmup_epochs=1")
    done = run(
        "train",
        f"experiment=[{experiment},smoke/cpu]",
        "branches=tiny",
        "data.clips_per_video=1",
        f"data.root={tiny_videos}",
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
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", ["experiment=paper/avid_kinetics", "name=avid"])
    branches = instantiate(config.branches, _convert_="all")
    for name, branch in branches.items():
        published = [
            math.prod(ast.literal_eval(shape))
            for key, _, shape in (
                line.partition(" ") for line in (golden / "official_checkpoint_keys.txt").read_text().splitlines()
            )
            if key.startswith(name) and not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        ]
        assert sum(p.numel() for p in branch.parameters()) == sum(published)
