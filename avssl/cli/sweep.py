"""-m: one setting with several values is as many jobs, checked before the first of them, each with a folder of its own.

A job that fails does not keep the later ones from running, as with hydra's own launcher; the command fails at its end.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.cli.mistakes import INTERRUPTED, MISTAKE, on_one_line
from avssl.cli.quoting import quoted
from avssl.errors import UserError

LONGEST = 120
"""Characters of a folder's name; a file system allows 255 bytes."""


@dataclass(frozen=True)
class Job:
    """All overrides of a job, and of them those in which it differs from the others."""

    overrides: list[str]
    swept: list[str]

    @property
    def name(self) -> str:
        return " ".join(self.swept)

    def folder(self) -> str:
        """`swept` as a name that every file system takes."""
        text = ",".join(self.swept).replace("'", "").replace('"', "")
        safe = re.sub(r"[^\w.=,+-]+", "-", text).strip("-.") or "job"
        if len(safe) <= LONGEST and len(safe.encode()) <= 2 * LONGEST:
            return safe
        return f"{safe[: LONGEST // 2]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def jobs_of(words: Sequence[str], group_choices: Callable[[str], list[str]]) -> list[Job]:
    """Every combination of the values of the swept settings, in hydra's order; the last one of a key counts.

    `group_choices` tells what glob(...) picks from.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    values: dict[str, list[str]] = {}
    swept: dict[str, bool] = {}
    for each in OverridesParser.create().parse_overrides(list(words)):
        key = each.get_key_element()
        swept[key] = each.is_sweep_override()
        if not swept[key]:
            values[key] = [str(each.input_line)]
        elif each.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in _values(each, group_choices)]
        else:
            raise UserError(f"{each.input_line}: an interval has no values to run; allowed: a,b or range(0,4)")
        if not values[key]:
            raise UserError(f"{each.input_line}: no value; allowed: one and more")
    jobs = list[Job]()
    for combination in itertools.product(*values.values()):
        pairs = zip(values, combination, strict=True)
        jobs.append(Job(list(combination), [word for key, word in pairs if swept[key]]))
    return jobs


def _values(override: Any, group_choices: Callable[[str], list[str]]) -> list[str]:
    from hydra.core.override_parser.types import Glob

    if isinstance(override._value, Glob):
        return [quoted(name) for name in override._value.filter(group_choices(override.key_or_group))]
    return list(override.sweep_string_iterator())


def in_own_folders(
    jobs: Sequence[Job], alone: Sequence[str], key: str, *, is_file: bool
) -> tuple[list[Job], list[str]]:
    """The jobs with a place each to write to, and those places; `alone` is where each would write on its own.

    Jobs that share a place get one in it. Raises UserError where the user tells jobs apart by `key`, but not all.
    """
    if len(set(alone)) == len(alone):
        return list(jobs), list(alone)
    if any(
        word.startswith(f"{key}=") and ("${" in word or word in job.swept) for job in jobs for word in job.overrides
    ):
        second = next(n for n, place in enumerate(alone) if place in alone[:n])
        first = alone.index(alone[second])
        raise UserError(
            f"{key}={alone[first]}: jobs {first + 1} ({jobs[first].name}) and {second + 1} ({jobs[second].name}) would "
            f"both write there; allowed: no {key}=, for a folder of its own each, or one with all that tells them apart"
        )
    names = [job.folder() for job in jobs]
    names = [name if names.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(names, start=1)]
    places = [str(_inside(Path(place), name, is_file)) for place, name in zip(alone, names, strict=True)]
    moved = [
        Job([*job.overrides, f"{key}={quoted(place)}"], job.swept) for job, place in zip(jobs, places, strict=True)
    ]
    return moved, places


def _inside(place: Path, name: str, is_file: bool) -> Path:
    """A folder in a folder; for a file videos.parquet videos/NAME.parquet."""
    return place.with_suffix("") / f"{name}{place.suffix}" if is_file else place / name


def announce(jobs: Sequence[Job], places: Sequence[str] | None) -> None:
    """What will run, one line each."""
    if is_main():
        print(f"{len(jobs)} job{'s, one after the other' if len(jobs) > 1 else ''}")
        for number, job in enumerate(jobs):
            place = f"  -> {places[number]}" if places else ""
            print(on_one_line(f"  {number + 1}  {job.name}{place}"), flush=True)


def run_all(jobs: Sequence[Job], run: Callable[[int], None]) -> None:
    """Run each job; after a failure go on, and exit with the first one's status when all are done."""
    failed: dict[int, int] = {}
    for number, job in enumerate(jobs, start=1):
        if is_main():
            print(on_one_line(f"job {number} of {len(jobs)}: {job.name}"), flush=True)
        try:
            run(number - 1)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
            if status in (INTERRUPTED, 128 + 15):
                raise
            if status:
                failed[number] = status
        except Exception:
            traceback.print_exc()
            failed[number] = 1
    if failed:
        told = ", ".join(f"{number} ({jobs[number - 1].name})" for number in failed)
        print(on_one_line(f"error: {len(failed)} of {len(jobs)} jobs failed: {told}"), file=sys.stderr)
        sys.exit(1 if 1 in failed.values() else next(iter(failed.values()), MISTAKE))


def is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"
