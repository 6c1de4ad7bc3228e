"""What a data set's own lists say of its files: label, split and more by path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
from pyarrow import csv

from avssl.data.manifest import SCHEMA
from avssl.data.paths import check_below
from avssl.types import UserError


class Listed(NamedTuple):
    """What is known of a file before it is opened."""

    label: str
    split: str = ""
    extra: Mapping[str, str] = {}  # never written to
    """The list's other columns."""


def read_listing(file: Path) -> dict[str, Listed]:
    """A CSV with the columns path (posix, relative to the root), label and, if there are any, split and more, as text.

    Raises UserError: no such file or column, a column that a manifest fills itself, a path that leads out of the root
    or comes twice.
    """
    try:
        with csv.open_csv(file) as reader:
            names = reader.schema.names
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a readable listing: {str(error).splitlines()[0]}") from error
    if missing := [name for name in ("path", "label") if name not in names]:
        raise UserError(f"{file}: not a listing: it lacks the columns {', '.join(missing)}")
    extra = [name for name in names if name not in ("path", "label", "split")]
    if taken := [name for name in names if (name in SCHEMA.names and name in extra) or names.count(name) > 1]:
        raise UserError(f"{file}: column {taken[0]}; allowed: names that a manifest does not have itself, each once")
    listed: dict[str, Listed] = {}
    for row in table.to_pylist():
        given = row["path"]
        check_below(file, [given])
        path = PurePosixPath(given).as_posix()
        if path in listed:
            raise UserError(f"{file}: path {given!r}; allowed: each once")
        listed[path] = Listed(row["label"] or "", row.get("split") or "", {name: row[name] or "" for name in extra})
    return listed
