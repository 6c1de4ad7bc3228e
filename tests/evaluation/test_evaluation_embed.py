from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from ranks import run_ranks

from avssl.data.clip_files import FileOpener
from avssl.data.clips import AudioView, ClipDataset, ClipKey, VideoView
from avssl.data.scan import scan
from avssl.data.transforms.audio import LogSpectrogram
from avssl.evaluation import embed as module
from avssl.evaluation.embed import embed
from avssl.evaluation.embeddings import Embeddings
from avssl.models.audio_conv import Conv2D10
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.r2plus1d import R2Plus1D
from avssl.types import UserError

CARD = {"checkpoint": "runs/x", "root": "somewhere"}


def to_float(frames: torch.Tensor) -> torch.Tensor:
    return frames.float().permute(1, 0, 2, 3) / 255


def dataset_of(root: Path, clips: int = 2) -> ClipDataset:
    spectrogram = LogSpectrogram(8000, n_fft=256, hop=80, bands=65)
    views = {
        "video": VideoView(frames=4, short_side=32, train=to_float, eval=to_float),
        "audio": AudioView(duration_s=1.0, rate_hz=8000, train=spectrogram, eval=spectrogram),
    }
    files = scan(root)
    return ClipDataset(files, views, FileOpener(files), seed=0, train=False, clips_per_video=clips)


def branches_of() -> Branches:
    torch.manual_seed(0)
    return Branches(
        {
            "video": Branch(R2Plus1D(depth=10, width=2), MLP([16, 6])),
            "audio": Branch(Conv2D10(width=2), MLP([16, 6])),
        }
    )


@pytest.fixture
def folder(tiny_videos: Path, tmp_path: Path) -> Path:
    """Ten of the videos."""
    root = tmp_path / "videos"
    for path in sorted(tiny_videos.rglob("*.mp4"))[:10]:
        target = root / path.relative_to(tiny_videos)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return root


@pytest.fixture(autouse=True)
def four_files_per_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_PART", 4)


def run(
    dataset: ClipDataset, out: Path, *, batch_size: int = 5, branches: Branches | None = None, **card
) -> Embeddings:
    embed(
        branches or branches_of(), dataset, out, batch_size=batch_size, workers=0, device="cpu", card={**CARD, **card}
    )
    return Embeddings.read(out)


def test_every_clip_has_the_vectors_of_its_own_sample(folder, tmp_path):
    dataset, branches = dataset_of(folder), branches_of().eval()
    e = run(dataset, tmp_path / "emb")
    assert e.columns == ["video", "audio", "video.feature", "audio.feature"]
    assert e.ids == [i for i in dataset.manifest.ids for _ in range(2)]
    assert e.paths[::2] == dataset.manifest.paths
    assert e.labels[::2] == dataset.manifest.labels
    for n, key in enumerate(ClipKey(0, row, clip) for row in range(10) for clip in range(2)):
        sample = dataset[key]
        assert e.start_s[n] == sample.start_s
        with torch.inference_mode():
            one = {view: x[None] for view, x in sample.views.items()}
            z, features = branches(one), branches.features(one)
        for view in one:
            torch.testing.assert_close(e.vectors(view)[n], z[view][0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(e.vectors(f"{view}.feature")[n], features[view][0], rtol=1e-4, atol=1e-5)


def test_card_counts_and_the_parts_are_gone(folder, tmp_path):
    e = run(dataset_of(folder), tmp_path / "emb", left_out={"no_audio": 2})
    assert {key: e.card[key] for key in ("expected", "done", "missing", "clips", "clips_per_file", "left_out")} == {
        **{"expected": 10, "done": 10, "missing": [], "clips": 20, "clips_per_file": 2, "left_out": {"no_audio": 2}}
    }
    assert e.card["dims"] == {"video": 6, "audio": 6, "video.feature": 16, "audio.feature": 16}
    assert e.card["hash"] == e.hash
    assert e.card["views"]["audio"] == {"duration_s": 1.0}
    assert sorted(path.name for path in (tmp_path / "emb").iterdir()) == ["card.json", "embeddings.parquet"]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_vectors_do_not_depend_on_the_batch(folder, tmp_path, batch_size):
    dataset = dataset_of(folder)
    expected, found = run(dataset, tmp_path / "a"), run(dataset, tmp_path / "b", batch_size=batch_size)
    assert found.ids == expected.ids
    for name in expected.columns:
        torch.testing.assert_close(found.vectors(name), expected.vectors(name), rtol=1e-4, atol=1e-5)


def test_a_stopped_run_goes_on_and_a_finished_one_stays(folder, tmp_path):
    dataset, whole = dataset_of(folder), run(dataset_of(folder), tmp_path / "whole")
    calls: list[int] = []

    def stop_at_third(*_) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt

    stopped = branches_of()
    stopped["video"].encoder.register_forward_hook(stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "emb", batch_size=4, branches=stopped)
    assert not (tmp_path / "emb" / "card.json").exists()
    with pytest.raises(UserError, match="no finished embeddings"):
        Embeddings.read(tmp_path / "emb")
    resumed = run(dataset, tmp_path / "emb", batch_size=4, branches=stopped)
    assert len(calls) == 4 + 3  # of five batches in three parts, the two of the first part were done
    assert resumed.hash == whole.hash
    torch.testing.assert_close(resumed.vectors("video"), whole.vectors("video"), rtol=1e-4, atol=1e-5)
    run(dataset, tmp_path / "emb", branches=stopped)
    assert len(calls) == 7


def test_a_folder_of_another_checkpoint_is_refused(folder, tmp_path):
    dataset = dataset_of(folder)
    run(dataset, tmp_path / "emb")
    with pytest.raises(UserError, match="another checkpoint; choose another folder"):
        run(dataset, tmp_path / "emb", checkpoint="runs/y")
    with pytest.raises(UserError, match="another clips_per_file"):
        run(dataset_of(folder, clips=3), tmp_path / "emb")
    next(folder.rglob("*.mp4")).unlink()
    with pytest.raises(UserError, match="another files"):
        run(dataset_of(folder), tmp_path / "emb")


def test_a_file_that_breaks_is_missing_with_its_reason_and_never_replaced(folder, tmp_path):
    dataset = dataset_of(folder)
    whole = run(dataset, tmp_path / "whole")
    rows = [1, *range(4, 8)]  # one of the first part, and the whole second part
    for row in rows:
        dataset.manifest.path(row).write_bytes(b"gone bad")
    e = run(dataset, tmp_path / "emb")
    assert [m["path"] for m in e.card["missing"]] == [dataset.manifest.paths[row] for row in rows]
    assert all(m["reason"] for m in e.card["missing"])
    assert (e.card["expected"], e.card["done"]) == (10, 5)
    kept = [n for n, i in enumerate(whole.ids) if i in set(e.ids)]
    assert e.ids == [whole.ids[n] for n in kept]
    torch.testing.assert_close(e.vectors("audio"), whole.vectors("audio")[kept], rtol=1e-4, atol=1e-5)


def test_a_file_that_vanishes_between_its_clips_is_missing_with_both(folder, tmp_path):
    dataset, branches, calls = dataset_of(folder), branches_of(), []

    def vanish(*_) -> None:
        calls.append(1)
        if len(calls) == 3:  # the first clip of the second file
            dataset.manifest.path(1).unlink()

    branches["video"].encoder.register_forward_hook(vanish)
    e = run(dataset, tmp_path / "emb", batch_size=1, branches=branches)
    assert [m["path"] for m in e.card["missing"]] == [dataset.manifest.paths[1]]
    assert dataset.manifest.ids[1] not in e.ids
    assert len(e) == 18


def test_nothing_to_embed_and_vectors_that_are_not_finite_are_named(folder, tmp_path):
    dataset, branches = dataset_of(folder), branches_of()
    torch.nn.init.constant_(branches["audio"].head[0].bias, torch.inf)
    with pytest.raises(UserError, match="the checkpoint's audio of it is not finite"):
        run(dataset, tmp_path / "a", branches=branches)
    for row in range(10):
        dataset.manifest.path(row).write_bytes(b"gone bad")
    with pytest.raises(UserError, match="no file can be embedded"):
        run(dataset, tmp_path / "b")
    assert list((tmp_path / "b").iterdir()) == []


def share(rank: int, folder: Path, videos: Path) -> None:
    module.FILES_PER_PART = 4
    run(dataset_of(videos), folder / "emb")


def test_two_ranks_share_the_parts(folder, tmp_path):
    expected = run(dataset_of(folder), tmp_path / "one")
    run_ranks(share, 2, tmp_path, folder)
    found = Embeddings.read(tmp_path / "emb")
    assert found.ids == expected.ids
    for name in expected.card["dims"]:  # ranks have smaller last batches, and kernels sum in another order
        torch.testing.assert_close(found.vectors(name), expected.vectors(name))
    assert found.card == expected.card
