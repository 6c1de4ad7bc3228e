"""Masked autoencoders through the commands: their encoders are no plain branches."""

from __future__ import annotations

from pathlib import Path

from avssl.evaluation.embeddings import Embeddings

SMALL = ("objective.decoder_width=16", "objective.decoder_depth=1", "trainer.accelerator=cpu")


def test_a_joint_model_is_trained_embedded_and_searched(run, tmp_path: Path, tiny_videos: Path):
    trained, out, data = tmp_path / "run", tmp_path / "emb", f"data.root={tiny_videos}"
    shallow = [f"branches.{name}.encoder.depth=1" for name in ("video", "audio")]
    done = run("train", "experiment=smoke/cpu", "objective=cav_mae", *SMALL, *shallow, data, f"out={trained}")
    assert done.status == 0, done.err
    done = run("embed", f"checkpoint={trained}", data, f"out={out}", "data.workers=0", "trainer.accelerator=cpu")
    assert done.status == 0, done.err
    assert set(Embeddings.read(out).views) == {"video", "audio"}
    query = next(tiny_videos.rglob("*.mp4"))
    done = run("search", f"embeddings={out}", f"query={query}", "from=audio", "to=video", "k=3")
    assert done.status == 0, done.err
    assert done.out.count(".mp4") >= 3


def test_a_size_that_patches_do_not_fill_is_refused(run, tmp_path: Path, tiny_videos: Path):
    done = run(
        "train",
        "experiment=smoke/cpu",
        "objective=mae",
        *SMALL,
        "data.size=40",
        f"data.root={tiny_videos}",
        f"out={tmp_path}/run",
    )
    assert done.status == 2
    assert "size" in done.err
    assert "multiple" in done.err
    assert not (tmp_path / "run").exists()
