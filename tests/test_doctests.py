"""Every example in a docstring runs, and what is public has one."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
FILES = sorted(file for file in (REPO / "avssl").rglob("*.py") if ">>> " in file.read_text())
MODULES = [".".join(file.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__") for file in FILES]
PUBLIC = [
    (package, name)
    for package in ("avssl.functional", "avssl.objectives", "avssl.state")
    for name in import_module(package).__all__
]
HELPERS = ("Objective", "SharedState", "raw_embeddings", "unit_embeddings")
"""Shown by the examples of the losses."""


@pytest.fixture
def place(tiny_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Examples run in an empty folder beside `videos`, and may write to it."""
    (tmp_path / "videos").symlink_to(tiny_videos)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("module", MODULES)
def test_examples_print_what_they_say(module: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level("WARNING", "avssl")  # a command that ran in this process before prints the log
    results = doctest.testmod(import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", [f"{package}.{name}" for package, name in PUBLIC if name not in HELPERS])
def test_what_is_public_has_an_example(name: str):
    package, _, name = name.rpartition(".")
    assert f"from {package} import" in (inspect.getdoc(getattr(import_module(package), name)) or "")
