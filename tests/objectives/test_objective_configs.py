"""An objective's YAML names its constructor and all constants of it, and says what they are."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "configs" / "objective"
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file.stem != "custom")
PASSED = {"branches", "views", "dim", "num_instances", "seed"}
"""What the caller knows and the config does not."""


def read(file: Path) -> dict:
    """With the keys of the file that it stands on."""
    keys = yaml.safe_load(file.read_text())
    bases = [name for name in keys.pop("defaults", []) if isinstance(name, str)]
    return {key: value for base in bases for key, value in read(FOLDER / f"{base}.yaml").items()} | keys


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_keys_are_the_constants_of_its_constructor(file: Path):
    keys = read(file)
    module, _, name = keys.pop("_target_").rpartition(".")
    assert getattr(import_module("avssl.objectives"), name) is getattr(import_module(module), name)
    arguments = set(inspect.signature(getattr(import_module(module), name)).parameters)
    assert set(keys) == arguments - PASSED
    assert "${" not in file.read_text()


@pytest.mark.parametrize("file", [*FILES, FOLDER / "custom.yaml"], ids=lambda file: file.stem)
def test_every_key_has_a_word_of_explanation(file: Path):
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith(("#", " ", "defaults"))]
    assert [line for line in lines if "#" not in line and not line.startswith("_target_")] == []
