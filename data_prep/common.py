"""What the scripts that read official lists have in common: arguments, lists, the report, the manifests."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import Progress

from avssl.data.manifest import MISSING, Manifest
from avssl.data.official import Clip, UserError, merged, official_manifest

SHOWN = 5


def arguments_of(doc: str | None, require: Sequence[str]) -> argparse.ArgumentParser:
    """A parser with what all scripts take; `require` is what a clip needs to be usable, unless the user says else."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the local copy")
    parser.add_argument("--out", type=Path, help="manifest to write, .parquet (default: ROOT/manifest.parquet)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; 0: none beside this one")
    words = {"nargs": "+", "choices": ("video", "audio"), "default": list(require)}
    parser.add_argument("--require", **words, help=f"streams of a usable clip (default: {' '.join(require)})")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, `out` filled in. UserError before a long scan rather than after it: no such folder, no way out."""
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        raise UserError(f"--root {arguments.root}: no such folder")
    arguments.out = arguments.out or arguments.root / "manifest.parquet"
    if arguments.out.suffix != ".parquet":
        raise UserError(f"--out {arguments.out}; allowed: a file that ends in .parquet")
    there = next(folder for folder in arguments.out.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"--out {arguments.out}: cannot write to {there}; allowed: a file in a folder of yours")
    if arguments.workers < 0:
        raise UserError(f"--workers {arguments.workers}; allowed: 0 and more")
    return arguments


def run(main: Callable[[], None]) -> None:
    """Run a script; the user's mistakes end it in one line and with status 2."""
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def lines_of(file: Path, allowed: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a list that is not empty. UserError where the file cannot be read."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"{file}: {reason}; allowed: {allowed}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise UserError(f"{file}: empty; allowed: {allowed}")
    yield from lines


def table_of(file: Path, columns: Sequence[str], allowed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and fields of each row of a CSV with a header. UserError where it lacks a column or a row is short."""
    lines = lines_of(file, allowed)
    header = [name.strip() for name in fields_of(next(lines)[1])]
    if missing := [name for name in columns if name not in header]:
        raise UserError(f"{file}: it lacks the columns {', '.join(missing)}; allowed: {allowed}")
    for number, line in lines:
        row = fields_of(line)
        if len(row) != len(header):
            raise UserError(f"{file}, line {number}: {len(row)} fields; allowed: {len(header)}, as in its first line")
        yield number, dict(zip(header, row, strict=True))


def fields_of(line: str) -> list[str]:
    """The fields of a line of a CSV; in quotes, a field may hold commas."""
    try:
        return next(csv.reader([line], skipinitialspace=True))
    except csv.Error:  # a field longer than any of a list
        return [line]


def wrong(file: Path, line: int, value: str, allowed: str) -> UserError:
    return UserError(f"{file}, line {line}: {value[:100]!r}; allowed: {allowed}")


def finish(
    arguments: argparse.Namespace,
    clips: Sequence[Clip],
    *,
    groups: Sequence[str] = ("split",),
    parts: bool = True,
    expected: Mapping[str, int] | None = None,
) -> None:
    """Find the clips in the copy, write the manifests, and print how many are expected, found, missing and usable.

    groups: columns whose values are counted apart. parts: write a manifest for each value, too, as its split.
    expected: the number of clips by value, where no list names them.
    """
    if not clips:
        raise UserError(f"--root {arguments.root}: the lists name no clip; allowed: lists as they were published")
    distinct = merged(clips)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("reading", total=None)
        manifest, others = official_manifest(
            arguments.root,
            distinct,
            require=arguments.require,
            workers=arguments.workers,
            on_file=lambda done, total: progress.update(task, completed=done, total=total),
        )
    out = arguments.out
    manifest.write(out)
    report(manifest, groups, expected or {}, " and ".join(arguments.require))
    if again := len(clips) - len(distinct):
        print(f"{again} entries of the lists name a clip that they have named before: one row each")
    if others:
        print(f"{others} media files are in no list and are left out")
    names = [out.name, *(write_parts(manifest, out, groups) if parts else ())]
    print(f"written to {out.parent}: {', '.join(names)}")


def report(manifest: Manifest, groups: Sequence[str], expected: Mapping[str, int], need: str) -> None:
    """Print the counts by group and in all, the reasons why clips are not usable, and the first that are missing."""
    statuses = manifest.column("status")
    unnamed = 0
    for group in groups:
        values = manifest.column(group)
        for value in sorted(set(values) - {""}):
            chosen = [status for status, own in zip(statuses, values, strict=True) if own == value]
            short = max(expected.get(str(value), 0) - len(chosen), 0)
            unnamed += short
            print(f"{value if group == 'split' else f'{group} {value}'}: {counts(chosen, short)}")
    print(f"all: {counts(statuses, unnamed)} (with {need})")
    reasons = Counter(status for status in statuses if status not in ("ok", MISSING))
    if reasons:
        print("not usable:", ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    missing = [path for path, status in zip(manifest.paths, statuses, strict=True) if status == MISSING]
    if missing:
        rest = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        print(f"missing: {', '.join(missing[:SHOWN])}{rest}")


def counts(statuses: Sequence[str], unnamed: int) -> str:
    """What the statuses of some clips amount to; `unnamed` more are expected, but have no row."""
    missing, found = statuses.count(MISSING), len(statuses) - statuses.count(MISSING)
    words = f"{len(statuses) + unnamed} expected, {found} found, {missing + unnamed} missing"
    return f"{words}, {statuses.count('ok')} usable"


def write_parts(manifest: Manifest, out: Path, groups: Sequence[str]) -> Iterator[str]:
    """Write the rows of each value of each group beside the manifest, the value as their split, and name the files."""
    for group in groups:
        values = manifest.column(group)
        for value in sorted(set(values) - {""}):
            rows = manifest.table.filter(pa.array([own == value for own in values]))
            rows = rows.set_column(rows.column_names.index("split"), "split", pa.array([value] * len(rows)))
            part = out.with_stem(f"{out.stem}_{value}" if group == "split" else f"{out.stem}_{group}_{value}")
            Manifest(manifest.root, rows).write(part)
            yield part.name
