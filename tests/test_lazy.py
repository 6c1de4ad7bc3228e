from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest


def run(tmp_path: Path, code: str) -> str:
    """Of a package `box` with two modules, of which one has a name that is the other's."""
    package = tmp_path / "box"
    package.mkdir()
    (package / "first.py").write_text("print('first is imported')\nOne, Two = 1, 2\n")
    (package / "second.py").write_text("print('second is imported')\n")
    names = {"One": "box.first", "Two": "box.first", "second": "box.second"}
    start = f"from avssl.lazy import attach\n__getattr__, __dir__, __all__ = attach(__name__, {names})\n"
    (package / "__init__.py").write_text(start)
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import box\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True).stdout


def test_a_module_is_imported_when_the_first_of_its_names_is_used(tmp_path: Path):
    code = "print(box.__all__, sorted(set(dir(box)) & set(box.__all__))); print(box.One, box.One); from box import Two"
    listed = "['One', 'Two', 'second']"
    assert run(tmp_path, code).splitlines() == [f"{listed} {listed}", "first is imported", "1 1"]


def test_all_names_come_with_a_star_and_a_submodule_is_itself(tmp_path: Path):
    code = "from box import *; print(Two, second.__name__, 'One' in vars(box))"
    assert run(tmp_path, code).splitlines()[-1] == "2 box.second True"


def test_an_unknown_name_is_an_attribute_error_with_what_is_near(tmp_path: Path):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(tmp_path, "box.Ones")
    assert "module 'box' has no attribute 'Ones'. Did you mean: 'One'" in failed.value.stderr


def test_the_helper_imports_no_torch():
    code = "import sys, avssl.lazy; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


REPO = Path(__file__).parents[1]
PACKAGES = [file for file in (REPO / "avssl").rglob("__init__.py") if "attach(" in file.read_text()]


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_editors_and_type_checkers_see_the_names_that_are_there(file: Path):
    package = ".".join(file.parent.relative_to(REPO).parts)
    tree = ast.parse(file.read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {name.asname: statement.module for statement in block.body for name in statement.names}
    (names,) = (ast.literal_eval(node) for node in ast.walk(tree) if isinstance(node, ast.Dict))
    submodules = {name: package for name, module in names.items() if module == f"{package}.{name}"}
    assert seen == {**names, **submodules}
    assert [name for name in names if not hasattr(import_module(package), name)] == []
