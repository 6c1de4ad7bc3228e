"""The table of pictures by instance and camera: one row per shot, a picture file or an instant of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from avssl.data.manifest import DUPLICATE
from avssl.data.paths import check_below
from avssl.files import whole
from avssl.types import UserError

SCHEMA = pa.schema(
    [
        ("instance", pa.string()),  # what all its shots show: an object, a moment
        ("camera", pa.string()),
        ("path", pa.string()),  # posix, relative to the root
        ("time", pa.float64()),  # s on the clock that the cameras share; 0 where nothing tells
        ("label", pa.string()),
        ("at_s", pa.float64()),  # of a video: when to look, from the start of the file's earliest stream; else null
        ("size_bytes", pa.int64()),
        ("status", pa.string()),  # "ok" or the reason why not
        ("detail", pa.string()),  # what the decoder says, or the file that this one is a duplicate of
    ]
)
NEEDED = ("instance", "camera", "path")
_ORDER = [("instance", "ascending"), ("camera", "ascending"), ("path", "ascending")]


@dataclass(frozen=True)
class Shots:
    """Rows of SCHEMA, sorted by instance and camera, and the folder that their paths are relative to."""

    root: Path
    table: pa.Table

    @classmethod
    def of(cls, root: Path, rows: Sequence[Mapping[str, Any]]) -> Shots:
        return cls(root, pa.Table.from_pylist(list(rows), schema=SCHEMA).sort_by(_ORDER))

    def write(self, file: Path | str) -> None:
        """Write the table as Parquet; a reader sees the old file or the whole new one."""
        with whole(Path(file)) as handle:
            pq.write_table(self.table, handle)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def ids(self) -> list[str]:
        """The instances, each once."""
        return list(dict.fromkeys(self.column("instance")))

    def column(self, name: str) -> list[Any]:
        return self.table.column(name).to_pylist()

    def path(self, row: int) -> Path:
        return self.root / self.table.column("path")[row].as_py()

    def groups(self) -> dict[str, list[int]]:
        """The rows of each instance."""
        groups: dict[str, list[int]] = {}
        for row, instance in enumerate(self.column("instance")):
            groups.setdefault(instance, []).append(row)
        return groups

    def where(self, chosen: Sequence[bool]) -> Shots:
        return Shots(self.root, self.table.filter(pa.array(chosen, pa.bool_())))


def read_table(file: Path | str, needed: Sequence[str] = NEEDED) -> pa.Table:
    """A manifest: Parquet or CSV with columns of SCHEMA, those that are needed at least. Raises UserError."""
    file = Path(file)
    try:
        if file.suffix.lower() == ".csv":  # column types: a camera "01" is no number
            types = {field.name: field.type for field in SCHEMA}
            table = csv.read_csv(
                file, convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False)
            )
        else:
            table = pq.read_table(file)
        if missing := [name for name in needed if name not in table.column_names]:
            raise UserError(f"{file}: not a manifest of pictures: it lacks the columns {', '.join(missing)}")
        known = [name for name in SCHEMA.names if name in table.column_names]
        table = table.select(known).cast(pa.schema([SCHEMA.field(name) for name in known]))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a readable manifest: {str(error).splitlines()[0]}") from error
    if empty := [name for name in needed if table.column(name).null_count or "" in table.column(name).to_pylist()]:
        raise UserError(f"{file}: rows without {', '.join(empty)}; allowed: a value in each row")
    check_below(file, table.column("path").to_pylist())
    return table


def mark_repeated(rows: Sequence[dict[str, Any]]) -> None:
    """Of the good shots of one instance by one camera keep the first by path."""
    kept: dict[tuple[str, str], str] = {}
    for row in sorted((row for row in rows if row["status"] == "ok"), key=lambda row: row["path"]):
        key = row["instance"], row["camera"]
        if key in kept:
            row.update(status=DUPLICATE, detail=kept[key])
        else:
            kept[key] = row["path"]
