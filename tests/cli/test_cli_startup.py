"""What a process of its own shows: what is imported before a word is said, whose code runs, and real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "lightning_fabric", "pyarrow", "numpy", "av", "rich", "matplotlib", "scipy", "sklearn"}
HYDRAS = {"hydra", "omegaconf", "antlr4"}


def imported_by(folder: Path, module: str, *words: str) -> tuple[set[str], str]:
    """The top-level modules that a command line imports, and what it says on stderr."""
    code = (
        "import sys, atexit; sys.argv[1:2], module = [], sys.argv[1]; "
        "atexit.register(lambda: open('modules', 'w').write('\\n'.join(sys.modules))); "
        "import importlib; importlib.import_module(module).main()"
    )
    command = [sys.executable, "-c", code, f"avssl.cli.{module}", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return {name.partition(".")[0] for name in (folder / "modules").read_text().split()}, done.stderr


@pytest.mark.parametrize("module", ["train", "embed", "eval", "search", "prep"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy_and_no_hydra(tmp_path: Path, module: str, option: str):
    modules, said = imported_by(tmp_path, module, option)
    assert not modules & (HEAVY | HYDRAS)
    assert said == ""


@pytest.mark.parametrize(
    ("module", "words", "sentence"),
    [
        ("train", ["nowhere"], "no such folder"),
        ("embed", ["nowhere", ".", "out=x"], "no such run"),
        ("eval", ["nowhere"], "no finished embeddings"),
        ("search", ["nowhere", "x.mp4"], "no finished embeddings"),
        ("prep", ["scan", "nowhere", "out=x.parquet"], "no such folder"),
        ("prep", ["scan", "--help"], ""),
        ("prep", ["scna"], "did you mean scan?"),
        ("train", ["--hepl"], "did you mean --help?"),
    ],
)
def test_an_unknown_file_needs_no_hydra_either(tmp_path: Path, module: str, words: list[str], sentence: str):
    modules, said = imported_by(tmp_path, module, *words)
    assert not modules & (HEAVY | HYDRAS)
    assert sentence in said


@pytest.mark.parametrize(
    ("module", "words", "sentence"),
    [
        ("train", ["objective=cma"], "did you mean avid_cma"),
        ("train", [".", "data.rot=x"], "did you mean data.root?"),
        ("train", [], "data.root is missing"),
        ("train", ["-m", ".", "objective=er,avdi"], "did you mean avid?"),
        ("embed", ["data.clip=3"], "did you mean data.clips?"),
        ("prep", ["scan", ".", "out=x.parquet", "chek=decode"], "did you mean check?"),
        ("eval", ["tsak=probe"], "did you mean task?"),
    ],
)
def test_a_typo_imports_nothing_heavy(tmp_path: Path, module: str, words: list[str], sentence: str):
    modules, said = imported_by(tmp_path, module, *words)
    assert not modules & HEAVY
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_the_working_folder_is_no_source_of_code(tmp_path: Path):
    """Modules that commands, hydra and OmegaConf import, as files in the working folder: none of them is run."""
    names = ("hydra_plugins", "hydra", "omegaconf", "yaml", "rich", "numpy", "difflib", "antlr4", "my_loss")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})")
    words = [sys.executable, "-m", "avssl.cli.train", "--cfg", "job", "-p", "seed"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_plugins_of_hydra_are_not_looked_for_even_on_the_path(tmp_path: Path):
    (tmp_path / "hydra_plugins" / "mine").mkdir(parents=True)
    for file in ("hydra_plugins/__init__.py", "hydra_plugins/mine/__init__.py"):
        (tmp_path / file).write_text("raise SystemExit('imported')")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    words = [sys.executable, "-m", "avssl.cli.train", "--cfg", "job", "-p", "seed"]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_program_keeps_its_own_plugins(tmp_path: Path):
    from hydra.core.plugins import Plugins
    from hydra.core.singleton import Singleton

    from avssl.cli.compose import compose

    mine = Plugins.instance()
    compose("train")
    assert Plugins.instance() is mine
    assert "hydra_plugins" not in sys.modules
    assert Plugins in Singleton._instances


@pytest.mark.parametrize("word", ["objective=my_loss.MyLoss", "objective._target_=my_loss.MyLoss"])
def test_a_module_that_is_named_is_found_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
):
    from omegaconf import OmegaConf

    from avssl.cli.compose import compose
    from avssl.cli.own_code import allow_named, named

    (tmp_path / "my_loss.py").touch()
    (tmp_path / "torch.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    allow_named(OmegaConf.to_container(compose("train")))
    assert str(tmp_path) not in sys.path
    allow_named(OmegaConf.to_container(compose("train", [word])))
    assert sys.path[-1] == str(tmp_path)
    specs = {"branches": {"video": {"encoder": "my_encoder.MyEncoder"}, "audio": {"encoder": {"name": "mine.A"}}}}
    assert list(named(specs, in_branches=False)) == ["my_encoder.MyEncoder", "mine.A"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory):
    """Runs a line in a real shell, in an empty folder that is also the home, with the console scripts on the path."""
    folder = tmp_path_factory.mktemp("shell")
    scripts = Path(sys.executable).parent
    if not (scripts / "avssl-train").is_file():
        scripts = folder / "bin"
        scripts.mkdir()
        for name in ("train", "embed", "eval", "search", "prep"):
            script = scripts / f"avssl-{name}"
            script.write_text(f"#!{sys.executable}\nfrom avssl.cli.{name} import main\n\nmain()\n")
            script.chmod(0o755)
    clean = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}

    def call(name: str, line: str, *words: str) -> subprocess.CompletedProcess[str]:
        if (program := shutil.which(name)) is None:
            pytest.skip(f"no {name} is installed")
        environment = os.environ | {"HOME": str(folder), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
        command = [program, *clean[name], "-c", line, *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    call.folder = folder
    return call


QUOTE = {"bash": ('printf %q "$0"',), "zsh": ('print -rn -- "${(q)0}"',), "fish": ("string escape -- $argv[1]",)}
SOME = ["видео", "my videos (2024)", "it's", "a,b", "{x}", "${seed}", "back\\slash", "a\nb", "a=b", "x#1"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_names_as_a_shell_itself_quotes_them(shell, name: str):
    lines = []
    for folder in SOME:
        (shell.folder / folder).mkdir(exist_ok=True)
        quoted = shell(name, *QUOTE[name], folder).stdout.strip("\n")
        lines.append(f"avssl-train {quoted} --cfg job -p data.root")
    done = shell(name, "\n".join(lines))
    assert done.stderr == ""
    assert done.stdout == "".join(f"{folder}\n" for folder in SOME)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_home_in_a_shell(shell, name: str):
    (shell.folder / "videos").mkdir(exist_ok=True)
    line = "avssl-train ~/videos --cfg job -p data.root; avssl-train data.root=~/videos --cfg job -p data.root"
    done = shell(name, line)
    assert done.stdout.splitlines() == [f"{shell.folder}/videos"] * 2, done.stderr


def test_a_command_in_bash_does_its_work(shell, tiny_videos: Path):
    shutil.copytree(tiny_videos, shell.folder / "my видео, 2024")
    done = shell("bash", "avssl-prep scan ~/'my видео, 2024' out=~/'all, of them.parquet' workers=0")
    assert done.returncode == 0, done.stderr
    assert (shell.folder / "all, of them.parquet").is_file()


def test_a_name_with_a_leading_dash(shell):
    (shell.folder / "-x").mkdir(exist_ok=True)
    done = shell(
        "bash", "avssl-train --cfg job -p data.root -- -x; avssl-train ./-x --cfg job -p data.root; avssl-train -x"
    )
    assert done.stdout.splitlines() == ["-x", "./-x"]
    assert done.stderr.startswith("error: -x: no such option")
