"""The one faiss there may be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from avssl.neighbors.index import import_faiss
from avssl.types import UserError

OFFICIAL = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")


def install(folder: Path, name: str, module: str) -> None:
    """Leave what an installed wheel leaves: its name, and the list of its files."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which something is installed."""
    monkeypatch.setitem(sys.modules, "faiss", ModuleType("faiss"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize("name", [*OFFICIAL, "faiss-gpu-cu12"])
def test_one_wheel_is_taken(name: str, site: Path):
    install(site, name, "faiss")
    install(site, "faiss-shim", "something")  # a package of another kind
    assert import_faiss().__name__ == "faiss"


@pytest.mark.parametrize(("first", "second"), [OFFICIAL[:2], OFFICIAL[1:], ("faiss-cpu", "faiss_gpu_cu12")])
def test_two_wheels_are_named(first: str, second: str, site: Path):
    install(site, first, "faiss")
    install(site, second, "faiss")
    with pytest.raises(UserError, match=f"{first} and {second.replace('_', '-')} overwrite each other; uninstall all"):
        import_faiss()


def test_without_one_both_extras_are_named(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"needs faiss; install avssl\[faiss-cpu\] or avssl\[faiss-gpu\]$"):
        import_faiss()
