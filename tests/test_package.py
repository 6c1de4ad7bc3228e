"""The package as others get it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


def test_imports_go_down_only():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"  # it turns loggers off
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=REPO, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_every_config(wheel: Path):
    inside = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"avssl/{path.relative_to(REPO).as_posix()}" for path in (REPO / "configs").rglob("*.yaml")}
    assert configs <= inside
    assert not [name for name in inside if name.startswith(("tests", "shared", "configs"))]


def test_the_unpacked_wheel_finds_its_configs_and_runs(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from avssl.cli import common, train; "
    code += "print(common.CONFIGS); train.main()"
    command = [sys.executable, "-c", code, str(tmp_path / "site"), "--cfg", "job", "--package", "objective"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(tmp_path / "site" / "avssl" / "configs") in done.stdout
    assert "avssl.objectives.avid.AVID" in done.stdout


def test_every_console_script_exists():
    from importlib import import_module

    scripts = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


OPTIONAL = (
    *("matplotlib", "sklearn", "scipy", "pandas", "tensorboard", "torch.utils.tensorboard", "faiss", "torchaudio"),
    *("torchcodec", "decord", "ray", "timm", "webdataset", "lightly", "torchmetrics", "playwright"),
)

BLOCKED = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import avssl
for module in pkgutil.walk_packages(avssl.__path__, "avssl."):
    importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith("avssl.")]))
"""


def test_every_module_imports_without_any_extra():
    done = subprocess.run([sys.executable, "-c", BLOCKED, *OPTIONAL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_libraries_that_double_the_start_are_imported_where_they_are_used():
    heavy = ["torchvision", "matplotlib", "sklearn", "scipy", "torch.utils.tensorboard", "torchaudio", "pandas"]
    floors = ["functional", "state", "models", "neighbors", "data", "objectives", "evaluation"]
    code = "import importlib, pkgutil, sys\n"
    code += f"for floor in {floors}:\n    package = importlib.import_module('avssl.' + floor)\n"
    code += "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
    code += "        importlib.import_module(module.name)\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def pinned(name: str) -> dict[str, str]:
    lines = (line for line in (REPO / name).read_text().splitlines() if not line.startswith("#"))
    return dict(line.lower().replace("_", "-").split("==") for line in lines)


def test_each_dependency_has_a_tested_version_in_both_sets():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in extras if name != "faiss-gpu" for line in extras[name])]
    names = {re.sub("[-_.]+", "-", re.split(r"[\[<>=]", line)[0]).lower() for line in wanted} - {"avssl"}
    tested, latest = pinned("constraints.txt"), pinned("constraints-latest.txt")
    assert names <= set(tested)
    assert set(tested) - set(latest) == {"torchaudio"}
    moved = {name for name, version in latest.items() if tested.get(name) != version}
    assert moved == {"torch", "torchvision", "torchcodec"}
