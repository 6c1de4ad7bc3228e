"""What a file does to its worker touches no other file."""

from __future__ import annotations

import multiprocessing

import pytest
from killers import DEADLY, OUTCOMES, length

from avssl.data.scanning import worker as module
from avssl.data.scanning.isolated import Failed, isolated
from avssl.types import UserError

QUIET = [f"name {number}" for number in range(30)]


def mixed() -> list[str]:
    """Deadly names among quiet ones."""
    names = list(QUIET)
    for place, name in enumerate(DEADLY):
        names.insert(3 * place, name)
    return names


@pytest.mark.parametrize("workers", [1, 3])
def test_whatever_ends_a_worker_marks_its_item_and_no_other(workers: int) -> None:
    before = set(multiprocessing.active_children())  # other tests' loaders may still be there
    answers = list(isolated(length, mixed(), workers=workers, timeout_s=3, memory_mb=300))
    found = dict(answers)
    assert sorted(name for name, _ in answers) == sorted(mixed())
    for name in QUIET:
        assert found[name] == len(name)
    for name, (status, words) in OUTCOMES.items():
        answer = found[name]
        assert isinstance(answer, Failed), name
        assert answer.status == status, name
        assert words in answer.detail, name
    assert set(multiprocessing.active_children()) <= before


def test_workers_are_replaced_before_they_have_done_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETIRE", 7)
    assert dict(isolated(length, QUIET, workers=2)) == {name: len(name) for name in QUIET}


def test_without_workers_exceptions_are_answers_too() -> None:
    found = dict(isolated(length, ["raises", "four"], workers=0))
    assert found == {"raises": Failed(*OUTCOMES["raises"]), "four": 4}


def test_a_reader_that_stops_early_leaves_no_worker() -> None:
    before = set(multiprocessing.active_children())
    answers = isolated(length, QUIET, workers=2)
    next(answers)
    answers.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"workers": -1}, "workers=-1"), ({"timeout_s": 0}, "timeout_s=0"), ({"memory_mb": 0}, "memory_mb=0")],
)
def test_limits_that_make_no_sense_are_told(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(UserError, match=told):
        list(isolated(length, ["x"], **{"workers": 1, **wrong}))
