from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.specs import build, fits, spec_of


class Box:
    UNSAVED = ("secret",)

    def __init__(self, size: int, inside: Box | None = None, names: Sequence[str] = (), secret: str = "") -> None:
        if size > 9:
            raise ValueError("size=10: too large\nfor us")
        self.size, self.inside, self.names, self.secret = size, inside, names, secret


class Forgetful:
    def __init__(self, size: int) -> None:
        pass


class Any_:
    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes


class Slots:
    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


TABLE = {"box": f"{__name__}:Box", "old_box": f"{__name__}:Box"}


def test_an_object_becomes_names_and_values_and_an_object_again():
    box = Box(3, Box(2, names=("a", "b"), secret="x"))
    spec = spec_of({"boxes": [box]}, TABLE)
    inside = {"name": "box", "size": 2, "inside": None, "names": ["a", "b"]}
    assert spec == {"boxes": [{"name": "box", "size": 3, "inside": inside, "names": []}]}
    again = build(json.loads(json.dumps(spec)), TABLE)
    assert spec_of(again, TABLE) == spec
    assert again["boxes"][0].inside.secret == ""


def test_a_name_of_before_still_means_the_class_and_is_replaced():
    assert spec_of(build({"name": "old_box", "size": 1}, TABLE), TABLE)["name"] == "box"
    assert spec_of(build({"name": f"{__name__}.Box", "size": 1}, TABLE), TABLE)["name"] == "box"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "bax"}, "here: 'bax' is no name that this version knows; allowed: box, old_box"),
        ({"name": "os.system", "command": "true"}, "here: needs os.system, code that is not avssl's; allowed: trust="),
        ({"name": "box", "size": {"name": "os.system"}}, "here.size: needs os.system"),
        ({"name": "box", "size": 1, "names": [{"name": "os.system"}]}, "here.names[0]: needs os.system"),
        ({"name": "box", "size": 1, "secret": "x"}, "here.secret: no such argument; allowed: size, inside, names"),
        ({"name": "box", "size": 1, "a\nb": 2}, "here.'a\\nb': no such argument"),
        ({"name": "box"}, "here: "),
        ({"name": "box", "size": "1"}, "here.size='1'; allowed: int"),
        ({"name": "box", "size": True}, "here.size=True; allowed: int"),
        ({"name": "box", "size": 1, "names": "ab"}, "here.names='ab'; allowed: Sequence[str]"),
        ({"name": "box", "size": 1, "inside": 3}, "here.inside=3; allowed: Box | None"),
        ({"name": "box", "size": "1" * 999}, "1111...; allowed: int"),
        ({"name": "box", "size": 10}, "here: size=10: too large"),
        ({"name": ["box"]}, "here: ['box'] is no name"),
        ({"name": {"name": "box"}}, "is no name"),
    ],
)
def test_a_wrong_spec_is_one_line(spec: dict[str, object], words: str):
    with pytest.raises(UserError) as error:
        build(spec, TABLE, where="here")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("trust", "ok"),
    [(False, False), ("mine.Thing", True), (["a.B", "mine.Thing"], True), (["a.B"], False), (True, True)],
)
def test_trust_is_for_all_or_for_names(
    trust: object, ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "mine.py").write_text("class Thing:\n    def __init__(self, size): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    caplog.set_level("INFO", "avssl")
    spec = {"name": "mine.Thing", "size": 3}
    try:
        if ok:
            assert spec_of(build(spec, TABLE, trust), TABLE) == spec
            assert "importing mine.Thing" in caplog.text
        else:
            with pytest.raises(UserError, match="needs mine"):
                build(spec, TABLE, trust)
            assert "mine" not in sys.modules
    finally:
        sys.modules.pop("mine", None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("os.system", "is no class"),
        ("gone.Thing", "cannot be imported (No module named 'gone')"),
        ("json.Gone", "cannot be imported (module 'json' has no attribute 'Gone')"),
        ("avssl.files.write_text", "is no name that this version knows"),
        ("avssl.specs.build", "is no name that this version knows"),
    ],
)
def test_trust_calls_no_function_and_nothing_of_ours(name: str, words: str):
    with pytest.raises(UserError) as error:
        build({"name": name}, TABLE, trust=True)
    assert words in str(error.value)


def test_a_class_of_another_kind_is_not_called():
    with pytest.raises(UserError, match=r"subprocess\.Popen is no Box; allowed: box"):
        build({"name": "subprocess.Popen", "args": ["true"]}, TABLE, trust=True, base=Box)


def test_an_object_with_slots_is_read_by_its_attributes():
    spec = {"name": f"{__name__}.Slots", "size": 3}
    assert spec_of(build(spec, TABLE, trust=True), TABLE) == spec


def test_what_cannot_be_told_is_said():
    class Local:
        pass

    for thing, words in (
        (Forgetful(3), "keeps no attribute size: a checkpoint could not build it again; add self.size = size"),
        (Any_(3), "takes \\*sizes"),
        (Local(), "allowed: a class at the top of a module"),
        ({"name": 3}, '"name" as a key'),
        (len, "len is a function or class: no checkpoint could hold it; allowed: an object of a class"),
        (Local, "Local is a function or class"),
    ):
        with pytest.raises(UserError, match=words):
            spec_of(thing, TABLE)


def test_types_of_values():
    assert fits({"a": [1, 2]}, Mapping[str, Sequence[int]])
    assert not fits({"a": [1, "2"]}, Mapping[str, Sequence[int]])
    assert fits(1, float | int)
    assert not fits(float("inf"), float | int)
    assert not fits(None, int)
    assert fits(None, int | None)
