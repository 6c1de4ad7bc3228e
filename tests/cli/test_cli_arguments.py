"""Paths by their place and by their key: every name that the file system allows arrives as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from avssl.cli.arguments import read_options, read_words
from avssl.cli.command import EMBEDDINGS, FILE, FOLDER, OUT_FOLDER, RUN, PathKey
from avssl.cli.compose import Composer, compose
from avssl.cli.quoting import parsed, quoted
from avssl.errors import UserError

NAMES = [
    "видео",
    "視頻",
    "josé",
    "मेरा",
    "😀",
    "my videos (2024)",
    "a=b",
    "seed=1",
    "data.root=x",
    "+seed=1",
    "it's",
    'say "hi"',
    "'quoted'",
    "R&B",
    "x#1",
    "{x}",
    "{a:1}",
    "[1,2]",
    "a,b",
    "${seed}",
    "a${x",
    "\\${seed}",
    "back\\slash",
    "trailing\\",
    "two\\\\",
    "null",
    "true",
    "2024",
    "1e5",
    "???",
    "range(3)",
    "choice(a,b)",
    "a\nb",
    "tab\t",
    " blank ",
    "~tilde",
    "~seed",
    "$HOME",
    "*",
    "!x",
    "%x;y|z",
    "@here",
    "a:b",
    ".hidden",
    "back`tick`",
    "byte\udcff",  # one that is no UTF-8
]
"""Names of files that people and machines give."""

TRAIN = (PathKey("data.root", FOLDER, "FOLDER"), PathKey("init", RUN), PathKey("out", OUT_FOLDER))
EMBED = (
    PathKey("checkpoint", RUN, "RUN"),
    PathKey("data.root", FOLDER, "FOLDER"),
    PathKey("out", OUT_FOLDER, "EMB"),
)
SEARCH = (PathKey("embeddings", EMBEDDINGS, "EMB"), PathKey("query", FILE, "QUERY ...", many=True))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a home."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


def config_of(name: str, paths: tuple[PathKey, ...], *words: str):
    """The config that a command line means; no file has to be there."""
    _, rest = read_options(words)
    return Composer(name).job(read_words(rest, paths, f"avssl-{name}").words)


def test_any_text_survives_hydras_grammar_and_omegaconfs():
    draw = random.Random(0)
    letters = "ab0 \\\\'\"${}[](),:=#%&~!;\n\t日é-+.@|?*<>^`"
    for _ in range(400):
        text = "".join(draw.choice(letters) for _ in range(draw.randint(1, 9)))
        override = parsed(f"key={quoted(text)}")
        config = OmegaConf.create({"key": None})
        OmegaConf.update(config, "key", override.value())
        if text != "???":
            assert config.key == text
        assert parsed(f"key={override.get_value_element_as_str()}").value() == override.value()  # as a sweep does


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_found_by_place_and_by_key(here: Path, name: str):
    (here / name).mkdir()
    root = config_of("train", TRAIN, name).data.root
    assert (here / root).resolve() == here / name
    by_place, by_key = (read_words([word], TRAIN, "").words for word in (name, f"data.root={name}"))
    assert by_place == by_key
    assert config_of("train", TRAIN, "seed=3", f"{here}/{name}").data.root == f"{here}/{name}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("null", "'quoted'", "${seed}", "\\${seed}")])
def test_a_new_folder_of_any_name_is_written_to(here: Path, name: str):
    config = config_of("train", TRAIN, f"out={name}")
    assert here / config.out == here / name


def test_what_hydras_users_write_in_quotes_and_interpolations_means_what_it_did(here: Path):
    assert config_of("train", TRAIN, "data.root='a,b'").data.root == "a,b"
    assert config_of("train", TRAIN, "out=runs/${name}-${seed}").out == "runs/avid-0"
    assert config_of("train", TRAIN, "out=прогоны/${name}").out == "прогоны/avid"
    assert config_of("train", TRAIN, "out=~/runs/${name}").out == f"{here.parent}/home/runs/avid"
    assert config_of("train", TRAIN, "init=null").init is None
    (here / "${name}").mkdir()
    assert config_of("train", TRAIN, "out=${name}/x").out == "${name}/x"


def test_home_is_found(here: Path):
    (here.parent / "home" / "videos").mkdir()
    for word in ("~/videos", "data.root=~/videos"):
        assert config_of("train", TRAIN, word).data.root == str(here.parent / "home" / "videos")


def test_places_are_filled_in_order_and_keys_take_theirs_away(here: Path):
    for words in (
        ["run", "folder"],
        ["checkpoint=run", "folder"],
        ["run", "data.root=folder"],
        ["run", "data.clips=2", "folder"],
    ):
        config = config_of("embed", EMBED, *words, "out=emb")
        assert (config.checkpoint, config.data.root, config.out) == ("run", "folder", "emb")
    with pytest.raises(UserError, match="third: neither KEY=VALUE nor one of the paths"):
        config_of("embed", EMBED, "run", "folder", "third")


def test_a_setting_is_a_path_only_where_a_place_is_free(here: Path):
    (here / "seed=1").mkdir()
    assert config_of("train", TRAIN, "seed=1").data.root == "seed=1"
    assert config_of("train", TRAIN, "folder", "seed=1").seed == 1
    assert config_of("train", TRAIN, "data.root=folder", "seed=1").seed == 1


@pytest.mark.parametrize(
    "words", [["a b.mp4", "c,d.mp4"], ["query=a b.mp4", "query=c,d.mp4"], ["query=['a b.mp4','c,d.mp4']"]]
)
def test_queries_are_a_list(words: list[str]):
    assert list(config_of("search", SEARCH, "emb", *words).query) == ["a b.mp4", "c,d.mp4"]


def test_options_stand_anywhere():
    options, rest = read_options(["a", "-r", "b=1", "--cfg=job", "-p", "data", "-cd", "x y", "--", "-c"])
    assert (options.run, options.cfg, options.package, options.config_dir) == (True, "job", "data", "x y")
    assert rest == ["a", "b=1", "-c"]


def test_values_that_hydra_cannot_read_are_text():
    config = config_of("eval", (), "fold_pattern=/(\\d)-", "embeddings=e")
    assert config.fold_pattern == "/(\\d)-"
    assert compose("train", ["name=a"]).name == "a"


def test_a_composed_config_is_read_only_and_without_hydra():
    config = compose("train", ["objective=er"])
    assert (config.name, config.out, "hydra" in config) == ("er", "runs/er", False)
    with pytest.raises(Exception, match="read-only"):
        config.seed = 3


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("objective=cma", "objective=cma: no such choice, did you mean avid_cma"),
        ("experiment=cma", "did you mean recommended/cma, paper/cma_audioset or paper/cma_kinetics?; allowed: demo, "),
        ("batch_size=8", "batch_size: no such key, did you mean data.batch_size?"),
        ("epochs=3", "epochs: no such key, did you mean trainer.epochs?"),
        ("ephocs=3", "did you mean trainer.epochs?"),
        ("optimizer=sgd", "did you mean optim.optimizer?"),
        ("seed=1,2", "seed=1,2: several values; allowed: one, or -m to run a job for each, or a list as seed=[1,2]"),
        ("data=5", "data=5: no such choice; allowed: av_digits"),
        ("objective=null", "objective=null: no such choice; allowed: avid"),
        ("~nix", "~nix: no such key"),
        ("+seed=1", "+seed: it is there already; allowed: seed=VALUE"),
        ("data.views.image/0.size=3", "not understood; allowed: KEY=VALUE"),
        ("hydra/launcher=ray", "plugins of hydra are not loaded, the jobs of -m run one after the other"),
        ("hydra.run.dir=x", "has no effect"),
    ],
)
def test_hydras_errors_are_sentences(word: str, sentence: str):
    with pytest.raises(UserError) as caught:
        compose("train", [word]).name  # noqa: B018
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Exception" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        ("train", [], "data.root is missing: avssl-train FOLDER"),
        ("train", ["data.root="], "data.root is missing"),
        ("train", ["data.root=null"], "data.root is missing"),
        ("train", ["."], None),
        ("train", ["out=null", "."], "out is missing"),
        ("train", ["run"], "data.root=run: it is a run, a checkpoint or an exported model; allowed: a folder"),
        ("train", ["emb"], "data.root=emb: it is a folder that avssl-embed wrote"),
        ("train", ["file.mp4"], "data.root=file.mp4: it is a file; allowed: a folder"),
        ("train", ["init=empty"], "init=empty: no checkpoint is in it; allowed: a run, a checkpoint or an exported"),
        ("embed", ["empty"], "checkpoint=empty: no checkpoint is in it"),
        ("embed", ["run"], "data.root is missing: avssl-embed RUN FOLDER out=EMB"),
        ("embed", ["run", "empty"], "out is missing: avssl-embed RUN FOLDER out=EMB"),
        ("embed", ["emb", "empty", "out=x"], "checkpoint=emb: it is a folder that avssl-embed wrote; allowed: a run"),
        ("eval", ["run"], "embeddings=run: no finished embeddings are in it; allowed: a folder that avssl-embed wrote"),
        ("eval", [], "embeddings is missing: avssl-eval EMB"),
        ("search", ["emb"], "query is missing: avssl-search EMB QUERY ..."),
        ("search", ["emb", "a\nb.mp4"], "query=a\\nb.mp4: no such file"),
        ("prep", ["scan", "root=null", "out=o.parquet"], "root is missing: avssl-prep scan FOLDER out=FILE.parquet"),
        ("prep", ["preview", "nowhere"], "root=nowhere: no such folder"),
        ("prep", ["scna"], "did you mean scan?"),
        ("train", [".", "name=${nmae}"], "${nmae} names no key, did you mean name?; text as it is: \\${nmae}"),
        ("train", ["--multrun"], "--multrun: no such option, did you mean --multirun?"),
        ("train", ["--objective", "er"], "--objective: no such option; a setting is written objective=VALUE"),
        ("train", ["my", "own", "videos", "data.size=64"], "own: neither KEY=VALUE nor one of the paths in"),
        ("train", ["my", "own", "videos"], "a name with blanks goes into quotes: 'my own videos'"),
        ("train", ["--config-dir", "nowhere"], "--config-dir=nowhere: no such folder"),
        ("train", ["--config-name", "nowhere"], "--config-name=nowhere: no such file"),
    ],
)
def test_what_is_missing_or_something_else_is_said_in_one_line(
    run, here: Path, command: str, words: list[str], sentence: str | None
):
    (here / "run").mkdir()
    (here / "emb").mkdir()
    (here / "empty").mkdir()
    (here / "my own videos").mkdir()
    for name in ("run/last.pt", "emb/embeddings.parquet", "emb/card.json", "file.mp4"):
        (here / name).touch()
    done = run(command, *words) if sentence else run(command, *words, "--cfg", "job")
    assert done.status == (2 if sentence else 0)
    if sentence:
        assert sentence in done.err
        assert len(done.err.splitlines()) == 1


def test_ones_own_objective_and_encoder_have_short_forms():
    config = compose("train", ["objective=my_loss.MyLoss"])
    assert (config.objective._target_, config.name) == ("my_loss.MyLoss", "custom")
    (other,) = Composer("train").written_out(["branches.video=torchvision/r3d_18"])
    assert other == "branches.video.encoder=torchvision/r3d_18"
    for word in ("branches.video={a: 1}", "branches.heads=3", "branches.video.encoder=x"):
        assert Composer("train").written_out([word]) == [word]
