"""Somebody else's checkpoint, by every way in: nothing in it runs, and each mistake is one line."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile import (
    CONFIG,
    FILES,
    MAIN,
    STATE,
    TRAINING,
    WEIGHTS,
    Trap,
    cached,
    change,
    flip,
    nested,
    specs,
    write_hostile,
)
from tiny import tiny_avid

import avssl
from avssl.data import VideoFolder
from avssl.errors import UserError
from avssl.models.locate import locate
from avssl.models.weights import digest_of

NAMES = [*specs(Path("x")), *FILES]
SETTINGS = {"epochs": 1, "batch_size": 8, "workers": 0, "accelerator": "cpu"}
LYING = "import pathlib\npathlib.Path({marker!r}).touch()\nclass Encoder: pass\n"


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is there after something has run."""
    return tmp_path_factory.mktemp("marker") / "ran"


@pytest.fixture(scope="module")
def said(tiny_run: Path, models: Path, marker: Path) -> dict[str, str]:
    return write_hostile(tiny_run, models, marker)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with a module of the attacker's in it, in which all commands run."""
    (tmp_path / "lying.py").write_text(LYING.format(marker=str(marker)))
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    assert not marker.exists()
    assert "lying" not in sys.modules
    assert sys.path == path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call a command that has to fail; what it says, which is one line."""

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"avssl-{name}", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            importlib.import_module(f"avssl.cli.{name}").main()
        err = capfd.readouterr().err
        assert stop.value.code == 2, err
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert err.splitlines()[-1] == line
        return line

    return call


def refused(call: Callable[..., object], *arguments: object, **settings: object) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_load(name: str, said: dict[str, str], models: Path):
    assert said[name] in refused(avssl.load, models / name)


def test_embed(run, said: dict[str, str], models: Path, tiny_videos: Path, tmp_path: Path):
    for name in MAIN:
        assert said[name] in run("embed", models / name, tiny_videos, f"out={tmp_path}/emb"), name
    assert not (tmp_path / "emb").exists()


@pytest.fixture(scope="module")
def embedded(tiny_run: Path, tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("embedded") / "emb"
    avssl.embed(tiny_run, tiny_videos, out, workers=0)
    return out


@pytest.mark.parametrize("way", ["card", "checkpoint="])
def test_search(run, way: str, said: dict[str, str], models: Path, embedded: Path, tiny_videos: Path, tmp_path: Path):
    emb = shutil.copytree(embedded, tmp_path / "emb")
    query = next(tiny_videos.rglob("*.mp4"))
    before = sorted(file.name for file in emb.iterdir())
    for name in MAIN:
        if way == "card":
            change(emb / "card.json", ("checkpoint",), str(models / name))
        more = [f"checkpoint={models / name}"] if way != "card" else []
        assert said[name] in run("search", emb, query, "k=1", *more), name
    assert sorted(file.name for file in emb.iterdir()) == before


@pytest.mark.parametrize("value", [None, 5, ["os.system"], "a\0b", "x" * 5000, "~nobody-of-this-name/x", ""])
def test_a_card_names_something_odd(run, value: object, embedded: Path, tiny_videos: Path, tmp_path: Path):
    emb = shutil.copytree(embedded, tmp_path / "emb")
    change(emb / "card.json", ("checkpoint",), value)
    run("search", emb, next(tiny_videos.rglob("*.mp4")), "k=1")


SCRIPT = """
import json, os, sys
from pathlib import Path

import avssl
from avssl.cli.embed import main

models, main_ones, videos, out, honest = map(json.loads, sys.argv[1:])
avssl.load(honest).dims
sys.stderr = open(os.devnull, "w")
try:  # what is loaded and looked for once in a process
    sys.argv = ["avssl-embed", "gone/gone", videos, f"out={out}"]
    main()
except SystemExit:
    pass
watched = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
           "socket.connect", "urllib.Request", "pickle.find_class", "shutil.rmtree", "os.remove")
events = []


def watch(event, arguments):
    if event in watched:
        events.append(f"{event} {arguments}")
    elif event == "import" and arguments[0].partition(".")[0] in ("lying", "evil"):
        events.append(f"import {arguments[0]}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        events.append(f"write {arguments[0]}")
    elif event == "open" and str(arguments[0]).endswith("evil.pt"):
        events.append(f"read {arguments[0]}")


sys.addaudithook(watch)
told = {}
for place in models:
    del events[:]
    said, status = "loaded", None
    try:
        avssl.load(place)
    except avssl.UserError as error:
        said = str(error)
    sys.argv = ["avssl-embed", place, videos, f"out={out}"]
    try:
        if place in main_ones:
            main()
    except SystemExit as stop:
        status = stop.code
    told[place] = [said, status, list(events)]
sys.__stdout__.write("\\n" + json.dumps(told))
"""


@pytest.fixture(scope="module")
def watched(
    said: dict[str, str], models: Path, tiny_run: Path, tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, int | None, list[str]]]:
    """All of them, on the disk and from the Hub's cache, in a process that writes down what it does."""
    work = tmp_path_factory.mktemp("watched")
    home = work / "home"
    (work / "lying.py").write_text(LYING.format(marker=str(work / "ran")))
    hub = {name: f"evil/model-{number}" for number, name in enumerate(said)}
    for name, place in hub.items():
        cached(models / name, place, home)
    places = [*(str(models / name) for name in said), *hub.values(), "evil/not-there"]
    commands = [*(str(models / name) for name in MAIN), hub["a shell"], "evil/not-there"]
    arguments = map(json.dumps, (places, commands, str(tiny_videos), str(work / "emb"), str(tiny_run)))
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    (work / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-P", str(work / "script.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=work)
    assert done.returncode == 0, done.stderr
    assert not (work / "ran").exists()
    assert not (work / "emb").exists()
    return json.loads(done.stdout.splitlines()[-1])


def test_no_process_no_import_no_file(watched):
    assert {place: events for place, (_, _, events) in watched.items() if events} == {}
    assert {status for _, status, _ in watched.values()} == {None, 2}


def test_a_model_of_the_hub(watched, said: dict[str, str]):
    for number, (name, words) in enumerate(said.items()):
        assert words in watched[f"evil/model-{number}"][0], name


def test_offline_is_said(watched):
    line, status, _ = watched["evil/not-there"]
    assert line.startswith("evil/not-there: not here, and not to be had from the Hub (")
    assert "\n" not in line
    assert status == 2


def test_an_honest_model_of_the_hub(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    cached(locate(tiny_run), "good/model", tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert avssl.load("good/model").fingerprint == avssl.load(tiny_run).fingerprint


def test_pretrained_in_a_stored_spec_is_not_read(tiny_run: Path, tmp_path: Path, marker: Path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    torch.save(Trap(marker), tmp_path / "evil.pt")
    for value in (str(tmp_path / "evil.pt"), True, "https://example.org/x.pt"):
        change(locate(run) / CONFIG, ("branches", "video", "pretrained"), value)
        assert avssl.load(run).fingerprint == avssl.load(tiny_run).fingerprint


@pytest.mark.parametrize("name", ["last.pt", "any.pt", "any.pth", "any.pth.tar", "any.bin", "model.safetensors"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_is_not_unpickled(run, name: str, how: str, tmp_path: Path, marker: Path, tiny_videos: Path):
    file = tmp_path / "folder" / name
    file.parent.mkdir()
    content = {"model": Trap(marker), "avssl": 1}
    torch.save(content, file) if how == "torch" else file.write_bytes(pickle.dumps(content))
    refused(avssl.load, file)
    refused(avssl.load, file.parent)
    refused(avssl.fit, tiny_avid, VideoFolder(tiny_videos, size=32), out=tmp_path / "out", init=file, **SETTINGS)
    run("embed", file, tiny_videos, f"out={tmp_path}/emb")
    run("train", tiny_videos, f"init={file}", f"out={tmp_path}/out")
    run("train", tiny_videos, f"init=official:{file}", f"out={tmp_path}/out")
    pretrained = [f"branches.video.pretrained={file}", "branches=tiny"]
    assert "pretrained" in run("train", tiny_videos, *pretrained, f"out={tmp_path}/out")
    assert not (tmp_path / "out").exists()


def test_links_out_of_the_folder_are_followed_and_read_as_data(tiny_run: Path, tmp_path: Path):
    """The Hub's cache is made of links; what they point at is read as tensors of that digest, or refused."""
    folder, secret = tmp_path / "model", tmp_path / "secret"
    folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        (folder / name).symlink_to(locate(tiny_run) / name)
    assert avssl.load(folder).fingerprint == avssl.load(tiny_run).fingerprint
    secret.write_text("password")
    for name in (WEIGHTS, CONFIG):
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
        assert "password" not in refused(avssl.load, folder)
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to("/dev/zero")
    refused(avssl.load, folder)
    os.mkfifo(tmp_path / "model" / "pipe")
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to(folder / "pipe")
    refused(avssl.load, folder)


@pytest.mark.parametrize(
    "name", ["step-1", "step-", "step-00000001.part", "step-\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "..."]
)
def test_folders_of_other_names_are_no_checkpoints(tiny_run: Path, tmp_path: Path, name: str):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    shutil.copytree(locate(run), run / "checkpoints" / name)
    assert locate(run).name == locate(tiny_run).name


def all_hostile(run: Path, marker: Path) -> None:
    """Everything in config.json that a constructor could be made of."""
    touch = {"name": "os.system", "command": f"touch {marker}"}
    for name in ("video", "audio"):
        for part in ("encoder", "head"):
            change(locate(run) / CONFIG, ("branches", name, part), touch)
    statistics = json.loads((locate(run) / CONFIG).read_text())["data"]["views"]["audio"]["eval"]
    views = {"video": {"name": "lying.Encoder"}, "audio": {**touch, "eval": {**statistics, "name": "lying.Encoder"}}}
    change(locate(run) / CONFIG, ("data",), {"name": "lying.Encoder", "views": views})


def test_init_and_resume_build_nothing_of_the_checkpoint(
    tiny_run: Path, tiny_videos: Path, tmp_path: Path, marker: Path, capfd
):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    all_hostile(run, marker)
    source = VideoFolder(tiny_videos, size=32)
    avssl.fit(tiny_avid, source, out=tmp_path / "next", init=run, **SETTINGS)
    assert "encoders, 2 banks (24 of 24 rows by id" in " ".join(capfd.readouterr().out.split())
    assert avssl.fit(tiny_avid, source, out=run, resume="auto", **SETTINGS).finished


STATES: dict[str, tuple[tuple[str, ...], object, str]] = {
    "a text as bank": (("objective", "map", "banks.video.vectors"), "os.system", "does not fit"),
    "no tensor": (("objective", "map", "banks.video.vectors"), {"tensor": "gone"}, "damaged, KeyError"),
    "a list as name": (("objective", "map", "banks.video.vectors"), {"tensor": []}, "damaged, TypeError"),
    "another shape": (
        ("objective", "map", "banks.video.vectors"),
        {"tensor": "objective/contrast.partition"},
        "does not fit",
    ),
    "no map": (("objective",), {"map": 5}, "damaged, TypeError"),
    "a text": (("objective",), "x", "damaged, TypeError"),
    "no optimizer": (("optimizer",), {"map": {}}, "damaged, KeyError"),
    "the optimizer's list": (("optimizer", "map", "state"), [], "damaged, TypeError"),
    "the optimizer's keys": (("optimizer", "map", "state"), {"map": {"x": 1}}, "damaged, ValueError"),
    "the optimizer's shape": (
        ("optimizer", "map", "state", "map", "0", "map", "exp_avg"),
        {"tensor": "objective/banks.video.vectors"},
        "does not fit",
    ),
    "the optimizer's groups": (("optimizer", "map", "param_groups"), [], "does not fit"),
    "a place": (("position",), {"epoch": "os.system"}, "damaged, ValueError"),
    "a place before": (("position", "epoch"), -1, "damaged, ValueError"),
    "a place of more": (("position", "x"), 1, "damaged, TypeError"),
    "a record": (("record",), [], "damaged, TypeError"),
    "another record": (("record", "seed"), 5, "seed=0; the run to resume has 5"),
    "deep": (("record",), nested(200), "not written by avssl (lists in lists"),
    "a digest": (("sha256", STATE), "0", "its bytes are not those that were written"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_training_state_that_was_changed(name: str, tiny_run: Path, tiny_videos: Path, tmp_path: Path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    place, value, words = STATES[name]
    change(locate(run) / TRAINING, place, value)
    names = sorted(file.name for file in run.rglob("*"))
    source = VideoFolder(tiny_videos, size=32)
    assert words in refused(avssl.fit, tiny_avid, source, out=run, resume="auto", **SETTINGS)
    assert sorted(file.name for file in run.rglob("*")) == names


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS, STATE, TRAINING])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "pickle"])
def test_a_damaged_file(file: str, damage: str, tiny_run: Path, tiny_videos: Path, tmp_path: Path, marker: Path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    target = locate(run) / file
    match damage:
        case "flip":
            flip(target)
        case "cut":
            target.write_bytes(target.read_bytes()[:-100])
        case "gone":
            target.unlink()
        case "pickle":
            target.write_bytes(pickle.dumps(Trap(marker)))
    if file == STATE and damage == "pickle":
        change(locate(run) / TRAINING, ("sha256", STATE), digest_of(target))
    source = VideoFolder(tiny_videos, size=32)
    refused(avssl.fit, tiny_avid, source, out=tmp_path / "next", init=run, **SETTINGS)
    if (file, damage) != (TRAINING, "gone"):  # that is no checkpoint, as far as a run goes
        refused(avssl.fit, tiny_avid, source, out=run, resume="auto", **SETTINGS)
    assert not (tmp_path / "next").exists()


SMOKE = ("experiment=smoke/cpu", "branches=tiny")


@pytest.fixture(scope="module")
def command_run(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    avssl.train(tiny_videos, out=out, overrides=[*SMOKE])
    return out


def test_commands_build_nothing_of_the_checkpoint(
    command_run: Path, tiny_videos: Path, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
):
    run = shutil.copytree(command_run, tmp_path / "run")
    all_hostile(run, marker)
    main = importlib.import_module("avssl.cli.train").main
    for more in ([f"out={run}", "resume=auto"], [f"out={tmp_path}/next", f"init={run}"]):
        monkeypatch.setattr(sys, "argv", ["avssl-train", str(tiny_videos), *SMOKE, *more])
        main()
    assert (tmp_path / "next" / "report.html").is_file()


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS, STATE, TRAINING])
def test_commands_refuse_a_damaged_checkpoint(run, file: str, command_run: Path, tiny_videos: Path, tmp_path: Path):
    damaged = shutil.copytree(command_run, tmp_path / "run")
    target = locate(damaged) / file
    target.write_bytes(target.read_bytes()[:-100])
    assert file in run("train", tiny_videos, *SMOKE, f"out={damaged}", "resume=auto")
    assert file in run("train", tiny_videos, *SMOKE, f"out={tmp_path}/next", f"init={damaged}")
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize("root", ["s3://bucket/pack", "memory://pack", "relative", 5, ["x"], None])
def test_a_checkpoint_names_only_folders_of_this_machine(run, root: object, command_run: Path, tmp_path: Path):
    other = shutil.copytree(command_run, tmp_path / "run")
    change(locate(other) / CONFIG, ("notes", "root"), root)
    line = run("train", *SMOKE, f"init={other}", f"out={tmp_path}/next")
    assert "does not say which folder it was trained on; allowed: data.root=FOLDER" in line
    avssl.load(other)
