"""The cameras of an instance become its views; instants are found by time stamps."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cameras_data import write_clock, write_level

from avssl.data.cameras import MultiCamera
from avssl.data.clips import VideoView
from avssl.data.pictures import ImageView, PictureSet
from avssl.data.shots import Shots
from avssl.data.source import Found
from avssl.data.stream.loader import batches, train_loader
from avssl.data.stream.sampler import EpochSampler
from avssl.data.stream.samples import Broken, ClipKey, Sample
from avssl.types import Batch, UserError

LEVELS = {"a": 10, "b": 60, "c": 110, "d": 160}


def plain(image: torch.Tensor) -> torch.Tensor:
    return image.float()


def noisy(image: torch.Tensor) -> torch.Tensor:
    return image.float() + 0.1 * torch.rand(())


IMAGE = ImageView(train=noisy, eval=plain)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four instances of three cameras, one of one: level = that of the instance + 10 * camera."""
    root = tmp_path / "rig"
    for name, level in LEVELS.items():
        for camera in range(3):
            write_level(root / name / f"cam{camera}.png", level + 10 * camera)
    write_level(root / "alone" / "cam1.png", 250)
    return root


def cameras(**settings) -> Cameras:
    return MultiCamera(None, {"image": IMAGE}, **settings)


def found(source: Cameras, root: Path, manifest: Path | None = None) -> Found:
    return source.trainable(source.at(root, manifest).find())


def levels(sample: Sample | Broken) -> dict[str, int]:
    assert isinstance(sample, Sample)
    return {name: int(view.mean()) for name, view in sample.views.items()}


def test_instances_of_one_camera_are_left_out_by_name(folder: Path):
    usable, left_out = found(cameras(), folder)
    assert usable.ids == list(LEVELS)
    assert left_out == [{"id": "alone", "path": "alone/cam1.png", "reason": "one camera alone"}]


def test_two_random_cameras_of_the_instance_are_the_views(folder: Path):
    source = cameras()
    usable = found(source, folder).files
    assert source.view_names(usable) == ["image/0", "image/1"]
    data = source.train_set(usable, 0, 1)
    assert len(data) == 4
    pairs = Counter()
    for epoch in range(60):
        for row, level in enumerate(LEVELS.values()):
            seen = levels(data[ClipKey(epoch, row, 0)])
            chosen = tuple((seen[f"image/{n}"] - level) // 10 for n in (0, 1))
            assert len(set(chosen)) == 2
            assert set(chosen) <= {0, 1, 2}
            pairs[chosen] += 1
    assert len(pairs) == 6
    assert min(pairs.values()) > 20  # 40 on average


def test_a_sample_is_a_function_of_its_key(folder: Path):
    source = cameras()
    usable = found(source, folder).files
    data = source.train_set(usable, 0, 1)
    state = torch.get_rng_state()
    first = data[ClipKey(3, 2, 0)]
    assert torch.get_rng_state().equal(state)
    torch.manual_seed(5)
    rest = Shots(usable.root, usable.table.slice(3))  # the row is another one, the instance the same
    again = source.train_set(rest, 0, 1)[ClipKey(3, 1, 0)]
    assert all(again.views[name].equal(first.views[name]) for name in first.views)
    others = [data[ClipKey(4, 2, 0)], data[ClipKey(3, 2, 1)], source.train_set(usable, 1, 1)[ClipKey(3, 2, 0)]]
    assert not any(all(other.views[name].equal(first.views[name]) for name in first.views) for other in others)


def test_more_views_than_cameras_show_each_before_any_again(folder: Path):
    source = cameras(views_per_instance=5)
    data = source.train_set(found(source, folder).files, 0, 1)
    for epoch in range(10):
        sample = data[ClipKey(epoch, 0, 0)]
        counts = Counter((level - 10) // 10 for level in levels(sample).values())
        assert sorted(counts.values()) == [1, 2, 2]
        assert len({float(view.mean()) for view in sample.views.values()}) == 5  # augmented anew


def test_ranks_share_the_batches_and_the_set_can_go_to_workers(folder: Path):
    source = cameras()
    data = source.train_set(found(source, folder).files, 0, 1)

    def epoch(rank: int = 0, ranks: int = 1) -> list[Batch]:
        return list(batches(train_loader(data, EpochSampler(4, 2, 1, 0, rank, ranks), 0)))

    for whole, first, second in zip(epoch(), epoch(0, 2), epoch(1, 2), strict=True):
        assert whole.index.equal(torch.cat([first.index, second.index]))
        for name in whole.views:
            assert whole.views[name].equal(torch.cat([first.views[name], second.views[name]]))
    copy = pickle.loads(pickle.dumps(data))
    assert levels(copy[ClipKey(0, 1, 0)]) == levels(data[ClipKey(0, 1, 0)])


@pytest.mark.parametrize("branches", ["shared", "per_camera"])
def test_each_camera_can_be_a_view(folder: Path, branches: str):
    (folder / "c" / "cam0.png").unlink()
    source = cameras(views_per_instance=None, branches=branches)
    usable, left_out = found(source, folder)
    assert usable.ids == ["a", "b", "d"]
    reasons = {row["id"]: row["reason"] for row in left_out}
    assert reasons == {"alone": "without camera cam0", "c": "without camera cam0"}
    prefix = "image/" if branches == "shared" else ""
    assert source.view_names(usable) == [f"{prefix}cam{n}" for n in range(3)]
    sample = source.train_set(usable, 0, 1)[ClipKey(0, 1, 0)]
    assert levels(sample) == {f"{prefix}cam{n}": 60 + 10 * n for n in range(3)}


def test_chosen_cameras_alone_are_used(folder: Path):
    source = cameras(cameras=["cam0", "cam2"])
    usable = found(source, folder).files
    assert set(usable.column("camera")) == {"cam0", "cam2"}
    with pytest.raises(UserError, match="no camera cam9; allowed: cam0, cam1, cam2"):
        found(cameras(cameras=["cam0", "cam9"]), folder)


def test_embedding_shows_every_picture_once(folder: Path):
    source = cameras()
    files = source.embeddable(source.at(folder).find()).files
    data = source.eval_set(files, 1)
    rows = data.files().to_pylist()
    assert len(rows) == len(data) == 13
    for row, facts in enumerate(rows):
        instance, camera = facts["path"].split("/")
        assert facts["id"] == facts["label"] == instance
        level = 250 if instance == "alone" else LEVELS[instance] + 10 * int(camera[3])
        assert levels(data[ClipKey(0, row, 0)]) == {"image": level}
    with pytest.raises(UserError, match=r"clips=2; allowed: 1"):
        source.eval_set(files, 2)


def test_with_a_branch_per_camera_an_instance_is_a_row(folder: Path):
    source = cameras(views_per_instance=None, branches="per_camera")
    data = source.eval_set(source.embeddable(source.at(folder).find()).files, 1)
    assert data.files()["id"].to_pylist() == list(LEVELS)
    assert levels(data[ClipKey(0, 1, 0)]) == {"cam0": 60, "cam1": 70, "cam2": 80}


def test_broken_and_repeated_pictures_are_left_out_with_the_reason(folder: Path):
    (folder / "a" / "cam0.png").write_bytes((folder / "a" / "cam1.png").read_bytes()[:40])
    (folder / "b" / "cam0.jpg").write_bytes((folder / "b" / "cam0.png").read_bytes())
    usable, left_out = found(cameras(), folder)
    reasons = {row["path"]: row["reason"] for row in left_out}
    assert reasons["a/cam0.png"].startswith("unreadable: ")
    assert reasons["b/cam0.png"] == "duplicate: b/cam0.jpg"
    assert usable.ids == list(LEVELS)  # two cameras remain of a
    data = cameras().train_set(usable, 0, 1)
    (folder / "d" / "cam0.png").unlink()
    lost = [data[ClipKey(epoch, 3, 0)] for epoch in range(8)]
    assert {item.reason for item in lost if isinstance(item, Broken)} == {"No such file or directory"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_names_instances_and_cameras(folder: Path, tmp_path: Path, kind: str):
    rows = {
        "instance": ["01", "01", "02", "02"],
        "camera": ["1", "2", "1", "2"],
        "path": ["a/cam0.png", "b/cam0.png", "c/cam0.png", "gone.png"],
        "time": [0.0, 0.1, 5.0, 5.0],
    }
    file = tmp_path / f"shots.{kind}"
    if kind == "csv":
        lines = [",".join(rows), *(",".join(map(str, row)) for row in zip(*rows.values(), strict=True))]
        file.write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(rows), file)
    files = cameras().at(folder, file).find()
    usable, left_out = cameras().trainable(files)
    assert usable.ids == ["01"]
    assert usable.column("time") == [0.0, 0.1]
    assert [row["id"] for row in left_out] == ["02", "02"]
    files.write(tmp_path / "again.parquet")  # as a scan wrote it, with reasons
    assert cameras().at(folder, tmp_path / "again.parquet").find().table.equals(files.table)


def test_a_manifest_without_the_columns_is_refused(folder: Path, tmp_path: Path):
    (tmp_path / "shots.csv").write_text("instance,path\na,a/cam0.png\n")
    with pytest.raises(UserError, match=r"shots.csv: .* lacks the columns camera"):
        cameras().at(folder, tmp_path / "shots.csv").find()
    (tmp_path / "shots.csv").write_text("instance,camera,path\na,,a/cam0.png\n")
    with pytest.raises(UserError, match="rows without camera"):
        cameras().at(folder, tmp_path / "shots.csv").find()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s at 25 Hz; at 12.5 Hz with a gap; at 25 Hz, starting at 0.4 s, with a clock that is 0.3 s ahead."""
    root = tmp_path_factory.mktemp("rig")
    every = [n / 25 for n in range(50)]
    write_clock(root / "cam1" / "x.mkv", every)
    write_clock(root / "cam2" / "y.mkv", [t for t in every[::2] if not 0.7 < t < 1.2])
    write_clock(root / "cam3" / "z.mkv", every[10:], ahead_s=0.3)
    return root


def instants(rig: Path, **settings) -> tuple[Cameras, Found]:
    source = cameras(period_s=0.2, **settings)
    return source, found(source, rig)


def test_instants_are_cut_by_time_stamps_not_by_frame_numbers(rig: Path):
    source, (usable, _) = instants(rig, views_per_instance=3, offsets_s={"cam3": 0.3})
    groups = usable.groups()
    cameras_at = {name: "".join(usable.column("camera")[row][-1] for row in rows) for name, rows in groups.items()}
    assert cameras_at == {
        **{"0.000": "12", "0.400": "123", "0.600": "13", "0.800": "13", "1.000": "13"},
        **{"1.200": "123", "1.400": "13", "1.600": "123", "1.800": "13"},
    }
    data = source.train_set(usable, 0, 1)
    for row, name in enumerate(groups):
        seen = levels(data[ClipKey(0, row, 0)])
        assert all(abs(level - (20 + 100 * float(name))) <= 2.5 for level in seen.values()), (name, seen)


def test_a_frame_further_away_than_the_tolerance_is_none(rig: Path):
    near = [n / 10 + 0.05 for n in range(18)]  # 0.05 s beside the instants
    write_clock(rig.parent / "late" / "cam1" / "x.mkv", [n / 10 for n in range(18)])
    write_clock(rig.parent / "late" / "cam2" / "x.mkv", near)
    assert len(instants(rig.parent / "late", tolerance_s=0.051)[1].files.ids) == 9
    with_none, left_out = instants(rig.parent / "late", tolerance_s=0.04)[1]
    assert with_none.ids == []
    assert {row["reason"] for row in left_out} == {"one camera alone"}


def test_several_files_of_a_camera_belong_together_by_name(rig: Path, tmp_path: Path):
    for camera in ("cam1", "cam2"):
        for take in ("walk", "run"):
            write_clock(tmp_path / camera / f"{take}.mkv", [n / 25 for n in range(12)])
    (tmp_path / "cam2" / "run.mkv").write_bytes(b"nothing")
    usable, left_out = instants(tmp_path)[1]
    assert usable.ids == ["walk@0.000", "walk@0.200", "walk@0.400"]
    assert {row["path"]: row["reason"].partition(":")[0] for row in left_out} == {
        "cam1/run.mkv": "one camera alone",
        "cam2/run.mkv": "unreadable",
    }


def test_an_instant_can_be_a_short_clip(rig: Path):
    view = VideoView(frames=4, fps=10.0, train=plain, eval=plain)
    source = MultiCamera(None, {"video": view}, period_s=0.2, offsets_s={"cam3": 0.3})
    usable = found(source, rig).files
    assert usable.ids[-1] == "1.600"  # a clip of 0.4 s ends in the video
    data = source.train_set(usable, 0, 1)
    row = usable.ids.index("1.400")
    for clip in data[ClipKey(0, row, 0)].views.values():
        assert [round(float(frame.mean())) for frame in clip] == pytest.approx([160, 170, 180, 190], abs=4.5)


def test_a_manifest_can_name_times_of_videos(rig: Path, tmp_path: Path):
    lines = ["instance,camera,path,time", "a,1,cam1/x.mkv,0.401", "a,3,cam3/z.mkv,0.9", "b,1,cam1/x.mkv,9"]
    (tmp_path / "shots.csv").write_text("\n".join([*lines, "b,2,cam2/y.mkv,0.95"]))
    source = cameras()
    usable, left_out = source.trainable(source.at(rig, tmp_path / "shots.csv").find())
    assert usable.ids == ["a"]
    assert [row["reason"] for row in left_out] == [
        "no_frame: no frame within 0.02 s of 9 s",
        "no_frame: no frame within 0.02 s of 0.95 s",
    ]
    data = source.eval_set(usable, 1)
    assert isinstance(data, PictureSet)
    assert [levels(data[ClipKey(0, row, 0)])["image"] for row in (0, 1)] == pytest.approx([60, 80], abs=2.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views_per_instance": 0}, "views_per_instance=0; allowed: 1 and more, or null"),
        ({"branches": "own"}, "branches='own'; allowed: shared, per_camera"),
        ({"branches": "per_camera"}, "shared, unless views_per_instance=null"),
        ({"period_s": 0.0}, "period_s=0.0; allowed: 0.001 s and more"),
        ({"tolerance_s": -1.0}, "tolerance_s=-1.0; allowed: 0 s and more"),
    ],
)
def test_settings_that_are_not_allowed(settings: dict, message: str):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        cameras(**settings)
    with pytest.raises(UserError, match="one view, named as a branch"):
        MultiCamera(None, {"image/0": IMAGE})


def test_folders_that_are_no_rig(rig: Path, folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match="no such folder"):
        found(cameras(), tmp_path / "nowhere")
    with pytest.raises(UserError, match="none of the files in it can be used; extensions: jpeg, jpg, png, webp"):
        found(cameras(), rig)
    write_clock(tmp_path / "one" / "cam1" / "x.mkv", [0.0, 0.1])
    with pytest.raises(UserError, match=r"found cam1; allowed: folders of 2 cameras and more"):
        instants(tmp_path / "one")
    with pytest.raises(UserError, match=r"offsets_s.cam9: no such camera; allowed: cam1, cam2, cam3"):
        instants(rig, offsets_s={"cam9": 1.0})
    (folder / "a" / "cam.0.png").write_bytes((folder / "a" / "cam0.png").read_bytes())
    with pytest.raises(UserError, match=r"camera 'cam.0' cannot name a branch"):
        found(cameras(views_per_instance=None, branches="per_camera"), folder)
