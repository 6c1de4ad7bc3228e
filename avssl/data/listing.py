"""What a data set's own lists say of its files: label and split by path."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
from pyarrow import csv

from avssl.types import UserError


class Listed(NamedTuple):
    """What is known of a file before it is opened."""

    label: str
    split: str = ""


def read_listing(file: Path) -> dict[str, Listed]:
    """A CSV with the columns path (posix, relative to the root), label and, if there is one, split.

    Raises UserError: no such file or column, a path that is empty, absolute, leads upwards or comes twice.
    """
    options = csv.ConvertOptions(column_types={"path": pa.string(), "label": pa.string(), "split": pa.string()})
    try:
        table = csv.read_csv(file, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a readable listing: {str(error).splitlines()[0]}") from error
    if missing := [name for name in ("path", "label") if name not in table.column_names]:
        raise UserError(f"{file}: not a listing: it lacks the columns {', '.join(missing)}")
    listed: dict[str, Listed] = {}
    for row in table.to_pylist():
        path = row["path"] or ""
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or path in listed:
            raise UserError(f"{file}: path {path!r}; allowed: relative paths below the root, each once")
        listed[path] = Listed(row["label"] or "", row.get("split") or "")
    return listed
