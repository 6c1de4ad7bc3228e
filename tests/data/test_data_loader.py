"""Workers: each file opened once for its clips, a dead one traced to its file, memory that does not grow."""

from __future__ import annotations

import signal
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch
from stream_data import Counting, mapped_set, stacked_in_place
from torch.utils.data import DataLoader

from avssl.data.clip_files import FileOpener
from avssl.data.clips import AudioView, ClipDataset, VideoView
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.stream.loader import batches, eval_loader, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import ClipKey
from avssl.data.stream.watch import watched
from avssl.data.transforms.audio import LogSpectrogram
from avssl.data.transforms.video import VideoEval, VideoTrain
from avssl.data.workers import worker_context
from avssl.types import Batch, UserError

SOUND = LogSpectrogram(volume_jitter=0.1)
VIEWS: dict[str, Any] = {
    "video": VideoView(frames=4, fps=16.0, train=VideoTrain(24), eval=VideoEval(24)),
    "audio": AudioView(duration_s=0.6, jitter_s=0.3, train=SOUND, eval=SOUND),
}


@pytest.fixture(scope="module")
def manifest(tiny_videos: Path) -> Manifest:
    files = scan(tiny_videos)
    return Manifest(files.root, files.table.slice(0, 9))


def same(a: Batch, b: Batch) -> bool:
    return a.index.equal(b.index) and all(a.views[name].equal(b.views[name]) for name in a.views | b.views)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_is_opened_once_for_several_clips_which_are_those_of_one_each(
    manifest: Manifest, tmp_path: Path, workers: int
) -> None:
    def epoch(per_open: int, start: int, many: int) -> tuple[list[Batch], list[int]]:
        opener = Counting(FileOpener(manifest), tmp_path / f"opened-{per_open}-{start}")
        files = ClipDataset(manifest, VIEWS, opener, seed=0, train=True, clips_per_video=4)
        sampler = EpochSampler(9, 4, 4, seed=0, clips_per_open=per_open)
        return list(batches(train_loader(files, sampler.at(1, start), many))), opener.opened

    several, opened = epoch(4, 0, workers)
    assert len(several) == 8
    assert len(opened) == 8  # 2 global batches of 4 files, once for 4 clips
    assert len(set(opened)) == 8
    rest, reopened = epoch(4, 3, workers)  # in the middle of a group
    assert len(reopened) == 8
    assert all(same(a, b) for a, b in zip(several[3:], rest, strict=True))
    one = ClipDataset(manifest, VIEWS, FileOpener(manifest), seed=0, train=True, clips_per_video=4)
    for step, keys in enumerate(EpochSampler(9, 4, 4, seed=0, clips_per_open=4).at(1)):
        for place, key in enumerate(keys):
            alone: Any = one[key]
            assert key.row == several[step].index[place]
            for name in VIEWS if step % 4 == 0 else ["video"]:
                assert several[step].views[name][place].equal(alone.views[name])
    singles, each = epoch(1, 0, 0)
    assert len(each) == 4 * len(opened)
    assert not same(singles[1], several[1])  # another order


def test_an_embedded_clip_does_not_depend_on_the_others_of_its_batch(manifest: Manifest, tmp_path: Path) -> None:
    opener = Counting(FileOpener(manifest), tmp_path / "opened")
    files = ClipDataset(manifest, VIEWS, opener, seed=0, train=False, clips_per_video=3)
    keys = [ClipKey(0, row, clip) for row in range(4) for clip in range(3)]
    (whole,) = list(watched(eval_loader(files, [keys], 0)))
    assert opener.opened == [key.row for key in keys]
    for n, single in enumerate(watched(eval_loader(files, [[key] for key in keys], 0))):
        assert all(view[0].equal(whole.batch.views[name][n]) for name, view in single.batch.views.items())


def test_a_worker_stacks_where_the_main_process_sees_it(tmp_path: Path) -> None:
    keys = [[ClipKey(0, row, 0) for row in range(4)]]
    loader = DataLoader(
        mapped_set(tmp_path, 8),
        batch_sampler=keys,
        num_workers=1,
        collate_fn=stacked_in_place,
        multiprocessing_context=worker_context(),
    )
    (told,) = list(loader)
    batch, shared = told
    assert shared
    assert batch.views["video"].shape == (4, 8, 3, 16, 16)
    assert not stacked_in_place([mapped_set(tmp_path, 8)[key] for key in keys[0]])[1]
    assert batch.views["video"].equal(stacked_in_place([mapped_set(tmp_path, 8)[k] for k in keys[0]])[0].views["video"])


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_is_reported_with_its_file(tmp_path: Path, stop: signal.Signals) -> None:
    train, seen = stop == signal.SIGKILL, list[int]()
    files = mapped_set(tmp_path, 24, (17, int(stop)), train)

    def read_all() -> None:
        if train:
            for batch in batches(train_loader(files, EpochSampler(24, 4, 1, seed=0), 2)):
                seen.extend(batch.index.tolist())
            return
        keys = [[ClipKey(0, row, 0) for row in range(start, start + 4)] for start in range(0, 24, 4)]
        for item in watched(eval_loader(files, keys, 2)):
            seen.extend(item.batch.index.tolist())

    with pytest.raises(UserError) as error:
        read_all()
    end = "SIGKILL (memory ran out, or someone killed it)" if train else "SIGSEGV"
    assert str(error.value).startswith(f"{tmp_path}/00017.mp4: a worker died of {end}; `avssl-prep scan")
    assert "\n" not in str(error.value)
    assert seen
    assert 17 not in seen


def test_a_worker_that_hangs_is_reported_with_its_file(tmp_path: Path) -> None:
    list(batches(train_loader(mapped_set(tmp_path, 8), EpochSampler(8, 4, 1, seed=0), 1)))  # starts the server
    loader = train_loader(mapped_set(tmp_path, 24, (3, 0)), EpochSampler(24, 4, 1, seed=0), 2, timeout_s=5)
    with pytest.raises(UserError, match=r"^timeout_s=5: no batch within it; the workers are on \S*00003.mp4 \(\d+ s\)"):
        list(batches(loader))
    workers: Any = loader._iterator
    assert wait([worker.sentinel for worker in workers._workers], 60)  # it would keep this process from its end
    assert -signal.SIGKILL in [worker.exitcode for worker in workers._workers]


def test_a_bug_is_reported_with_the_file(tmp_path: Path) -> None:
    loader = train_loader(mapped_set(tmp_path, 8, (5, -1)), EpochSampler(8, 4, 1, seed=0), 1)
    with pytest.raises(KeyError, match=r"(?s)a bug.*while reading \S*00005\.mp4"):
        list(batches(loader))


def test_impossible_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"timeout_s=0; allowed: seconds, or null"):
        train_loader(mapped_set(tmp_path, 8), EpochSampler(8, 4, 1, seed=0), 1, timeout_s=0)


def resident_mb(pid: int | str) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def memory_growth_mb(root: Path, warm: int, samples: int) -> list[float]:
    """By how much the main process and two workers grow over that many samples, after others to warm up."""
    sampler = EpochSampler(256, 64, 4, seed=0, clips_per_open=2)
    loader = train_loader(mapped_set(root, 256), sampler, 2)
    seen, pids, before = 0, list[Any](), list[float]()
    for epoch in range(10_000):
        for batch in batches(loader) if sampler.at(epoch) else []:
            seen += len(batch.index)
        if not before and seen >= warm:
            workers: Any = loader._iterator
            pids = ["self", *(worker.pid for worker in workers._workers)]
            before = [resident_mb(pid) for pid in pids]
        if seen >= warm + samples:
            break
    return [resident_mb(pid) - mb for pid, mb in zip(pids, before, strict=True)]


def test_memory_is_flat_over_many_epochs(tmp_path: Path) -> None:
    """6,000 samples of 6 kB here, as 100,000 take a minute: one number kept of each would be no more than 1 MB."""
    torch.set_num_threads(1)
    growth = memory_growth_mb(tmp_path, 3_000, 6_000)
    assert len(growth) == 3
    assert max(growth) < 5, growth  # a view kept of each sample would be 36 MB
