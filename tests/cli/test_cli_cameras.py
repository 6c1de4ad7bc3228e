"""Pictures by several cameras, instants of a rig, and pictures alone: training, embeddings and evaluation."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torchvision.io import write_png

from avssl.data.decode.image import read_image
from avssl.evaluation.embeddings import Embeddings
from avssl.training.checkpoint import load
from avssl.training.run_log import read_metrics

REPO = Path(__file__).parents[2]
SMOKE = ("experiment=smoke/cpu", "branches=image_tiny", "objective=infonce")
EMBED = ("data.workers=0", "trainer.accelerator=cpu")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPO / "data_prep" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def coil(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six objects at four positions, seen by three cameras, no picture twice; and every 30 degrees by themselves."""
    root, coil20 = tmp_path_factory.mktemp("coil"), script("coil20")
    pictures = coil20.read_coil20(shared / "data" / "coil20" / "COIL20.mat")
    for number in range(6):
        for angle in range(0, 360, 30):
            coil20.write(pictures[number, angle // 5], root / "views" / f"{number:02d}" / f"{angle:03d}.png")
            position, camera = angle - angle % 90, angle % 90
            coil20.write(pictures[number, angle // 5], root / "rig" / f"{number:02d}_{position:03d}" / f"{camera}.png")
    return root


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


def results(folder: Path) -> dict[tuple[str, str, str], dict]:
    found = json.loads((folder / "retrieval.json").read_text())["results"]
    return {(r["query"], r["gallery"], r["by"]): r for r in found}


def test_training_on_cameras(run, work: Path, coil: Path):
    done = run("train", *SMOKE, "data=cameras", f"data.root={coil}/rig", f"out={work}/run", "trainer.epochs=3")
    assert done.status == 0, done.err
    assert "24 usable, 0 left out" in done.out
    checkpoint = load(work / "run")
    assert checkpoint.ids == [f"{n:02d}_{p:03d}" for n in range(6) for p in range(0, 360, 90)]
    assert checkpoint.data["views_per_instance"] == 2
    losses = [row["loss"] for row in read_metrics(work / "run" / "metrics.csv")]
    assert len(losses) == 9
    assert losses[-1] < losses[0]


def test_the_same_instance_by_another_camera_is_found(run, work: Path, coil: Path):
    done = run(
        "embed",
        *(f"checkpoint={work}/run", f"data.root={coil}/rig", f"out={work}/emb", *EMBED),
        r"data.label_pattern='^(\d+)_'",
    )
    assert done.status == 0, done.err
    assert "72 of 72 files embedded, 0 missing" in done.out
    e = Embeddings.read(work / "emb")
    assert e.columns == ["image", "image.feature"]
    assert sorted(set(e.labels)) == [f"{n:02d}" for n in range(6)]
    assert e.paths[0] == f"{e.ids[0]}/0.png"
    assert e.card["training_overlap"] == 24
    assert run("eval", "task=retrieval", f"embeddings={work}/emb").status == 0
    found = results(work / "emb")[("image", "image", "instance")]
    assert (found["queries"], found["gallery_size"]) == (72, 71)  # of all pictures the query alone is not searched
    assert found["chance"]["R@1"] == pytest.approx(2 / 71)
    assert found["R@5"] > 2 * found["chance"]["R@5"]
    by_label = results(work / "emb")[("image", "image", "label")]
    assert by_label["gallery_size"] == 69  # without the query's instance
    done = run("eval", "task=probe", f"embeddings={work}/emb", "view=image", "folds=4")
    assert done.status == 0, done.err
    report = json.loads((work / "emb" / "probe.json").read_text())[0]
    assert report["tested_on"] == 72
    assert report["knn"]["accuracy"] > report["chance"]


def test_views_of_objects_are_probed_by_picture(run, work: Path, coil: Path):
    done = run("embed", f"checkpoint={work}/run", f"data.root={coil}/views", f"out={work}/views", *EMBED)
    assert done.status == 0, done.err
    e = Embeddings.read(work / "views")
    assert e.ids == e.labels == [f"{n:02d}" for n in range(6) for _ in range(12)]
    done = run("eval", "task=probe", f"embeddings={work}/views", f"test={work}/views", "per_class=3", "seeds=2")
    assert done.status == 0, done.err
    report = json.loads((work / "views" / "probe.json").read_text())[0]
    assert (report["per_class"], report["tested_on"]) == (3, 72)
    query = coil / "views" / "03" / "030.png"
    done = run("search", f"embeddings={work}/views", f"query={query}", "from=image", "to=image", "k=2")
    assert done.status == 0, done.err
    assert "1.000 │ 03/030.png" in done.out


def test_a_stopped_run_goes_on(run, coil: Path, tmp_path: Path):
    common = (*SMOKE, "data=cameras", f"data.root={coil}/rig", "trainer.epochs=2")
    assert run("train", *common, f"out={tmp_path}/whole").status == 0
    from avssl.training import loop

    step, calls = loop.Trainer._train_step, []

    def interrupted(self, *arguments):
        found = step(self, *arguments)
        calls.append(arguments)
        if len(calls) == 4:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "_train_step", interrupted)
        assert run("train", *common, f"out={tmp_path}/cut").status == 130
    assert run("train", *common, f"out={tmp_path}/cut", "resume=auto").status == 0
    whole, cut = (load(tmp_path / name).objective for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


@pytest.mark.parametrize("branches", ["shared", "per_camera"])
def test_a_view_for_each_camera(run, coil: Path, tmp_path: Path, branches: str):
    settings = ("data=cameras", "data.source.views_per_instance=null", f"data.source.branches={branches}")
    done = run("train", *SMOKE, *settings, f"data.root={coil}/rig", f"out={tmp_path}/run")
    assert done.status == 0, done.err
    trained = {key.split(".")[1] for key in load(tmp_path / "run").objective if key.startswith("branches.")}
    assert trained == ({"image"} if branches == "shared" else {"0", "30", "60"})
    assert (
        run("embed", f"checkpoint={tmp_path}/run", f"data.root={coil}/rig", f"out={tmp_path}/emb", *EMBED).status == 0
    )
    e = Embeddings.read(tmp_path / "emb")
    assert (len(e), e.views) == ((72, ["image"]) if branches == "shared" else (24, ["0", "30", "60"]))
    done = run("eval", "task=retrieval", f"embeddings={tmp_path}/emb")
    assert done.status == 0, done.err
    asked = [(q, g) for q, g, by in results(tmp_path / "emb") if by == "instance"]
    assert len(asked) == (1 if branches == "shared" else 6)


def test_instants_of_the_lab_rig(run, shared: Path, tmp_path: Path):
    rig4 = script("rig4")
    for camera in ("cam1", "cam3"):
        source = shared / "data" / "rig4" / camera / "video.avi"
        rig4.rewrite(source, tmp_path / "rig" / camera / "video.mkv", 128, 0.2 if camera == "cam3" else 0.0)
    done = run("prep", "clocks", f"root={tmp_path}/rig")
    assert done.status == 0, done.err
    assert re.search(r"cam3: its clock is 0\.(19|20|21) s ahead of cam1's", done.out), done.out
    assert "'data.source.offsets_s={cam3: 0.2" in done.out
    settings = ("data=rig", "data.source.offsets_s={cam3: 0.2}", f"data.root={tmp_path}/rig")
    done = run("train", *SMOKE, *settings, f"out={tmp_path}/run")
    assert done.status == 0, done.err
    assert "17 usable, 0 left out" in done.out
    assert (
        run("embed", f"checkpoint={tmp_path}/run", f"data.root={tmp_path}/rig", f"out={tmp_path}/emb", *EMBED).status
        == 0
    )
    e = Embeddings.read(tmp_path / "emb")
    assert len(e) == 34
    assert e.ids[:2] == ["0.500", "0.500"]
    assert e.start_s[:4] == pytest.approx([0.5, 0.5, 1.0, 1.0], abs=0.02)
    assert run("eval", "task=retrieval", f"embeddings={tmp_path}/emb").status == 0


@pytest.mark.parametrize("data", ["images", "multicrop"])
def test_pictures_alone(run, coil: Path, tmp_path: Path, data: str):
    done = run("train", *SMOKE, f"data={data}", f"data.root={coil}/views", f"out={tmp_path}/run")
    assert done.status == 0, done.err
    assert "72 usable, 0 left out" in done.out
    done = run("embed", f"checkpoint={tmp_path}/run", f"data.root={coil}/views", f"out={tmp_path}/emb", *EMBED)
    assert done.status == 0, done.err
    e = Embeddings.read(tmp_path / "emb")
    assert e.views == ["image"]
    assert e.ids == e.paths
    assert e.labels[0] == "00"


def test_two_clips_of_a_silent_video(run, tiny_videos: Path, tmp_path: Path):
    done = run(
        "train",
        *("experiment=smoke/cpu", "branches=tiny", "objective=infonce", "data=video_pairs"),
        *(f"data.root={tiny_videos}", f"out={tmp_path}/run"),
    )
    assert done.status == 0, done.err
    checkpoint = load(tmp_path / "run")
    assert list(checkpoint.data["views"]) == ["video/0", "video/1"]
    assert {key.split(".")[1] for key in checkpoint.objective if key.startswith("branches.")} == {"video"}
    done = run("embed", f"checkpoint={tmp_path}/run", f"data.root={tiny_videos}", f"out={tmp_path}/emb", *EMBED)
    assert done.status == 0, done.err
    assert Embeddings.read(tmp_path / "emb").views == ["video"]


def mistake(done, *words: str) -> None:
    assert done.status == 2, done.err
    (line,) = done.err.strip().splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def picture(file: Path, level: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_png(torch.full((3, 40, 40), level, dtype=torch.uint8), str(file))


def test_mistakes_end_in_one_line(run, tmp_path: Path):
    common = (*SMOKE, "data=cameras", f"out={tmp_path}/run")
    for n in range(8):
        picture(tmp_path / "one" / str(n) / "cam.png", n)
    mistake(run("train", *common, f"data.root={tmp_path}/one"), "no usable file", "one camera alone", "two cameras")
    (tmp_path / "bad" / "a").mkdir(parents=True)
    (tmp_path / "bad" / "a" / "cam0.png").write_bytes(b"no picture")
    mistake(run("train", *common, f"data.root={tmp_path}/bad"), "a/cam0.png: unreadable", "two cameras")
    missing = (f"data.root={tmp_path}/one", "branches=tiny")
    mistake(run("train", *common, *missing), "data.views.image: no branch for it; allowed: views of video, audio")
    mistake(run("train", *common, "data.root=nowhere"), "nowhere: no such folder")
    mistake(run("train", *common, f"data.root={tmp_path}/one", "+data.source.speed=1"), "data.source", "speed")
    per_camera = (f"data.root={tmp_path}/one", "data.source.branches=per_camera")
    mistake(run("train", *common, *per_camera), "data.source.branches='per_camera'", "views_per_instance=null")
    mistake(run("prep", "clocks", f"root={tmp_path}/one"), "none of the files")


def test_a_picture_that_breaks_after_the_scan_is_named(run, tmp_path: Path):
    for n in range(8):
        for camera in range(2):
            picture(tmp_path / "rig" / str(n) / f"{camera}.png", 20 * n + camera)
    common = (*SMOKE, "data=cameras", f"data.root={tmp_path}/rig")
    assert run("train", *common, f"out={tmp_path}/run").status == 0
    broken = tmp_path / "rig" / "3" / "1.png"
    assert read_image(broken).amax() == 61
    broken.write_bytes(broken.read_bytes()[:50])
    again = (f"data.manifest={tmp_path}/run/manifest.parquet", f"out={tmp_path}/again")
    mistake(run("train", *common, *again), str(broken), "scan the folder again")
    done = run("embed", f"checkpoint={tmp_path}/run", f"data.root={tmp_path}/rig", f"out={tmp_path}/emb", *EMBED)
    assert done.status == 0, done.err
    (missing,) = Embeddings.read(tmp_path / "emb").card["missing"]
    assert missing["path"] == "3/1.png"
    assert missing["reason"].startswith("unreadable: ")
