"""`import avssl`: the names that outside code calls are there, say what they do, and come when they are used."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import avssl

REPO = Path(__file__).parents[1]
PROMISED = {
    "avssl": "train fit load embed retrieval build_index scan pack Model Run Embeddings Batch LossOutput UserError",
    "avssl.data": "VideoFolder ImageFolder MultiCamera PackedVideos VideoView AudioView ImageView Manifest Source",
    "avssl.data.decode": "frames audio probe",
    "avssl.functional": "info_nce nce spectral_contrastive kde_entropy vmf_reconstruction barlow_twins sinkhorn ranks",
    "avssl.models": "build_branches Branch Branches load_official",
    "avssl.objectives": "AVID AVIDCMA ER InfoNCE BYOL SwAV MAE Objective unit_embeddings",
}
PACKAGES = ("avssl", "avssl.data", "avssl.data.decode", "avssl.functional", "avssl.models", "avssl.objectives")
SUBPACKAGES = ("data", "functional", "models", "objectives")
ARGUMENTS = {
    "train": "root objective out init minutes epochs resume overrides",
    "fit": "objective source out optimizer init resume",
    "load": "place trust device",
    "embed": "model root out trust",
    "retrieval": "table views average_clips",
    "build_index": "table kind",
    "Model.embed": "files audio rate_hz video fps image views layer normalize batch_size workers",
    "Model.similarity": "a b",
    "Model.save_pretrained": "folder",
    "Model.push_to_hub": "name private token",
}


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("package", PROMISED)
def test_the_names_are_there(package: str):
    names = PROMISED[package].split()
    assert set(names) <= set(import_module(package).__all__)
    assert all(getattr(import_module(package), name) is not None for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_dead_and_each_has_a_docstring(package: str):
    module = import_module(package)
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), f"{package}.{name}"
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("name", [name for name in avssl.__all__ if name not in SUBPACKAGES])
def test_each_name_of_the_package_has_an_example_that_runs(name: str):
    """That it runs is tested with all others, in test_doctests.py."""
    assert ">>> " in (inspect.getdoc(getattr(avssl, name)) or "")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_are_those_that_are_documented(name: str):
    function = avssl
    for part in name.split("."):
        function = getattr(function, part)
    assert set(ARGUMENTS[name].split()) <= set(inspect.signature(function).parameters)
    assert inspect.getdoc(function)


def test_nothing_is_imported_before_it_is_used():
    heavy = "('torch', 'numpy', 'pyarrow', 'av', 'hydra', 'omegaconf', 'rich', 'faiss')"
    code = "import sys, avssl, avssl.objectives, avssl.data, avssl.functional, avssl.models, avssl.data.decode; "
    assert (
        in_a_process(f"{code}print([name for name in {heavy} if name in sys.modules], 'train' in dir(avssl))")
        == "[] True"
    )


def test_python_that_never_trains_by_a_command_imports_no_hydra():
    code = "import sys, avssl; avssl.fit, avssl.load, avssl.embed, avssl.retrieval, avssl.build_index, avssl.scan; "
    assert in_a_process(f"{code}print([name for name in ('hydra', 'omegaconf') if name in sys.modules])") == "[]"


def test_the_version_is_the_commands():
    assert in_a_process("import avssl; print(avssl.__version__)") == avssl.__version__
    assert f'version = "{avssl.__version__}"' in (REPO / "pyproject.toml").read_text()


def test_help_reads_well():
    """The story first, in lines that are no wider than a terminal of 120 columns."""
    text = pydoc.render_doc(avssl, renderer=pydoc.plaintext)
    assert text.index("import avssl") < text.index("avssl.load(run)") < text.index("PACKAGE CONTENTS")
    for name in ("train", "fit", "load", "embed", "retrieval", "build_index", "scan", "pack"):
        doc = inspect.getdoc(getattr(avssl, name)) or ""
        assert doc.splitlines()[0].endswith("."), name
        assert max(map(len, doc.splitlines())) <= 116, name


def test_types_are_in_the_wheel(tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPO, check=True, capture_output=True)
    from zipfile import ZipFile

    (wheel,) = tmp_path.glob("*.whl")
    assert "avssl/py.typed" in ZipFile(wheel).namelist()
