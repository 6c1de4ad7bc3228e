"""Every command line that is written down is what bash and the commands can read.

Each line goes through a real bash, in a folder with stand-ins for the files that it names; programs of that name note
down the words that arrive. They are then read as the command reads them, up to where it would begin to work, which
for a training includes that encoders and objective can be built.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from avssl.cli import command
from avssl.cli.own_code import allow_named
from avssl.errors import UserError

REPO = Path(__file__).parents[1]
COMMANDS = ("train", "embed", "eval", "search", "prep")
TASKS = ("scan", "preview", "pack", "stats", "clocks")
STUBS = (*(f"avssl-{name}" for name in COMMANDS), "torchrun", "python", "make", "uv")
STARTS = re.compile(rf"({'|'.join(STUBS)})\b")
MENTION = re.compile(rf"(avssl-prep ({'|'.join(TASKS)})|\S+)")  # a command's name, not a line to type

FOLDERS = (
    *("~/videos", "~/songs", "~/rig", "~/photos", "packed", "my videos (2024)", "vggsound", "esc50"),
    *("av_digits/train", "coil20/rig", "rig4", "FOLDER", "KINETICS", "AUDIOSET", "IMAGENET/train", "PICTURES"),
)
RUNS = ("RUN", "runs/avid", "runs/avid/checkpoints/step-00000240", "runs/er", "runs/mine", "runs/my_loss", "export")
RUNS = (*RUNS, "runs/my_encoder")
EMBEDDINGS = ("emb", "emb_train", "emb_test", "train_emb", "test_emb")
FILES = (
    *("clip.mp4", "one.mp4", "other.mp4", "AVID.pth.tar", "weights.pth", "stats.json", "list.csv", "fit.parquet"),
    *("videos.parquet", "vggsound/manifest_train.parquet", "vggsound/manifest_test.parquet"),
)
CODE = {
    "my_encoder.py": (REPO / "examples" / "my_encoder.py").read_text(),
    "my_objective.py": (REPO / "examples" / "my_objective.py").read_text(),
    "my_loss.py": re.findall(r"```python\n# my_loss.py\n(.*?)```", (REPO / "README.md").read_text(), re.DOTALL)[0],
    "my_file.py": "def Reverb(seconds):\n    return lambda samples, rate_hz: samples\n",
}


class Line(NamedTuple):
    """Where a command line stands, and its text."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.text}"


def in_markdown(file: Path) -> Iterator[Line]:
    """Lines of code blocks without a language, and code within a line, that begin with a command."""
    name, text = str(file.relative_to(REPO)), file.read_text("utf-8")
    for block in re.finditer(r"^```\w*\n.*?^```$", text, re.DOTALL | re.MULTILINE):
        if block[0].startswith("```\n"):
            first = text.count("\n", 0, block.start()) + 1
            for number, line in enumerate(re.sub(r"\\\n", "  ", block[0]).splitlines()):
                if STARTS.match(line):
                    yield Line(name, first + number, line)
        text = text.replace(block[0], "\n" * block[0].count("\n"), 1)
    for number, line in enumerate(text.splitlines(), start=1):
        for span in re.findall(r"`([^`]+)`", line):
            if STARTS.match(span) and not MENTION.fullmatch(span):
                yield Line(name, number, span)


def in_comments(file: Path) -> Iterator[Line]:
    """Of a YAML file: the examples of --help, lines "Command:", and code in comments."""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        comment = line.partition("#")[2]
        whole = re.match(r"(?:   | Command: +)(.*)", comment)
        for text in [whole[1]] if whole else re.findall(r"`([^`]+)`", comment):
            if STARTS.match(text) and not MENTION.fullmatch(text):
                yield Line(str(file.relative_to(REPO)), number, text)


def in_help(program: str, text: str) -> Iterator[Line]:
    """The examples that --help shows; its usage and its keys are no command lines."""
    for number, line in enumerate(text.splitlines(), start=1):
        told = re.fullmatch(r"(?:\w+: [^.]+\.)?  (avssl-\S+ .*)", line)
        if told and not told[1].endswith("has the keys of a task."):
            yield Line(f"{program} --help", number, told[1])


def in_docstring(file: Path) -> Iterator[Line]:
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8")), clean=False) or ""
    for number, line in enumerate(docstring.splitlines(), start=1):
        text = re.sub(r"^As (a command|commands): ", "", line.strip())
        if STARTS.match(text):
            yield Line(str(file.relative_to(REPO)), number, text)


def helps(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Line]:
    for program, *words in [*([name] for name in COMMANDS), *(["prep", task] for task in TASKS)]:
        monkeypatch.setattr(sys, "argv", [f"avssl-{program}", *words, "--help"])
        importlib.import_module(f"avssl.cli.{program}").main()
        yield from in_help(" ".join([f"avssl-{program}", *words]), capsys.readouterr().out)


def written() -> list[Line]:
    pages = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
    found = [line for page in pages for line in in_markdown(page)]
    found += [line for file in sorted((REPO / "configs").rglob("*.yaml")) for line in in_comments(file)]
    return found + [line for file in sorted((REPO / "examples").glob("*.py")) for line in in_docstring(file)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home and working folder in one, with everything in it that the lines name, and stubs of the programs."""
    home = tmp_path_factory.mktemp("home")
    for name in (*FOLDERS, *EMBEDDINGS):
        (home / name.removeprefix("~/")).mkdir(parents=True)
    notes = {"root": str(home / "videos"), "manifest": None, "split": None}
    config = {"avssl": {"format": 2}, "branches": {}, "data": {}, "notes": notes, "sha256": {}}
    for run in RUNS:
        folder = home / run if run == "export" or "step-" in run else home / run / "checkpoints" / "step-00000001"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        for name in ("model.safetensors", "training.json"):
            (folder / name).touch()
    for name in FILES:
        (home / name).touch()
    for name in EMBEDDINGS:
        (home / name / "embeddings.parquet").touch()
        (home / name / "card.json").touch()
    for name, text in CODE.items():
        (home / name).write_text(text)
    stub = home / "bin" / "stub"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf \'%s\\0\' "${0##*/}" "$@" \'\n\' >> "$RECORD"\n')
    stub.chmod(0o755)
    for name in STUBS:
        (stub.parent / name).symlink_to(stub)
    return home


def words_of(line: Line, home: Path, tmp_path: Path) -> list[list[str]]:
    """What arrives at the programs of a line that bash has read."""
    record = tmp_path / "record"
    record.write_bytes(b"")
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"HOME": str(home), "PATH": path, "RECORD": str(record)}
    bash = ["bash", "--norc", "--noprofile", "-c", line.text]
    done = subprocess.run(bash, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{line}\n{done.stderr}"
    programs = record.read_text("utf-8").split("\0\n\0")[:-1]
    assert programs, f"{line}: no program was called"
    return [program.split("\0") for program in programs]


def read(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Let a command read its words. AssertionError with what it says where it refuses them."""
    program, *rest = words
    if program == "torchrun":
        from torch.distributed.run import get_args_parser

        asked = get_args_parser().parse_args(rest)
        program, rest = Path(asked.training_script).name, asked.training_script_args
    if program == "make":
        targets = re.findall(r"^(\w[\w-]*):", (REPO / "Makefile").read_text(), re.MULTILINE)
        assert set(rest) <= set(targets), f"of {targets}"
    if program == "python":
        assert (REPO / rest[0]).is_file() or (REPO / "examples" / rest[0]).is_file(), f"no file {rest[0]}"
    if not program.startswith("avssl-"):
        return
    sys.argv = [program, *rest]
    try:
        importlib.import_module(f"avssl.cli.{program.removeprefix('avssl-')}").main()
    except SystemExit as end:
        raise AssertionError(capsys.readouterr().err) from end
    capsys.readouterr()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[str]:
    """Commands stop where they would begin to work, and their names are collected."""
    reached = list[str]()

    def stop(spec, composer, config, words) -> None:
        from omegaconf import OmegaConf

        reached.append(spec.name)
        if spec.rehearse is not None:
            for branch in config.branches.values():
                if "pretrained" in branch:
                    branch.pretrained = False  # nothing is fetched
            allow_named(OmegaConf.to_container(config))
            spec.rehearse(config)

    monkeypatch.setattr(command, "_run", stop)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return reached


def check(lines: list[Line], stopped: list[str], home: Path, tmp_path: Path, capsys) -> None:
    """Read each distinct line; those that cannot be read are named at once, with their places."""
    failed, done = list[str](), set[str]()
    for line in lines:
        if line.text in done:
            continue
        done.add(line.text)
        try:
            for words in words_of(line, home, tmp_path):
                read(words, capsys)
        except (AssertionError, UserError) as error:
            failed.append(f"{line}\n    {str(error).strip()}")
    assert not failed, "\n" + "\n".join(failed)


def test_every_line_can_be_read(stopped: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = written()
    check(lines, stopped, home, tmp_path, capsys)
    assert {line.file for line in lines} >= {"README.md", "docs/data.md", "configs/train.yaml", "examples/cameras.py"}
    assert set(stopped) == {*COMMANDS[:-1], *(f"prep/{task}" for task in TASKS)}
    assert not [line for line in lines if len(line.text) > 120 and line.file == "README.md"]


def test_every_example_of_help_can_be_read(
    stopped: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    lines = list(helps(monkeypatch, capsys))
    assert len(lines) >= 3 * 9
    check(lines, stopped, home, tmp_path, capsys)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("avssl-train ~/vidoes", "no such folder"),
        ("avssl-train data.root=~/videos objective=avdi", "did you mean avid?"),
        ("avssl-train ~/videos branches.video=torchvision/r3d_81", "torchvision's classifiers"),
        ("torchrun --nproc-per-node 2 $(which avssl-train) ~/videos data.sise=64", "did you mean data.size?"),
        ("avssl-train ~/videos -m objective=er,avdi", "did you mean avid?"),
        ("avssl-embed runs/avid ~/videos", "out is missing"),
        ("avssl-eval emb task=probes", "allowed: retrieval, probe"),
        ("python data_prep/nothing.py", "no file"),
        ("make coffee", "demo"),
        ("avssl-train ~/my videos (2024)", "syntax error"),
    ],
)
def test_a_line_that_cannot_be_read_is_found(
    text: str, sentence: str, stopped: list[str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(AssertionError, match=rf"README.md:7: .*(\n.*)*{re.escape(sentence)}"):
        check([Line("README.md", 7, text)], stopped, home, tmp_path, capsys)


def test_a_line_on_several_lines_and_code_within_a_line_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.REPO", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "Say `avssl-train a` or `avssl-prep scan`.\n\n```\navssl-eval \\\n    b\nsaid: x\n```\n`avssl-eval c`\n"
    )
    found = list(in_markdown(page))
    assert [(line.number, line.text.split()) for line in found] == [
        (4, ["avssl-eval", "b"]),
        (1, ["avssl-train", "a"]),
        (8, ["avssl-eval", "c"]),
    ]
