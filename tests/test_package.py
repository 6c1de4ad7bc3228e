"""The package as others get it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

REPO = Path(__file__).parents[1]


def test_imports_go_down_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(REPO)
    assert lint_imports() == EXIT_STATUS_SUCCESS


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
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from avssl.cli import configs, train; "
    code += "print(configs.CONFIGS); train.main()"
    command = [sys.executable, "-c", code, str(tmp_path / "site"), "--cfg", "job", "--package", "objective"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(tmp_path / "site" / "avssl" / "configs") in done.stdout
    assert "avssl.objectives.avid.AVID" in done.stdout


def test_every_console_script_exists():
    import tomllib
    from importlib import import_module

    scripts = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))
