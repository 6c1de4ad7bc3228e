"""What earlier scans found of files that have not changed since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avssl.data.manifest import SCHEMA, Manifest, written_root
from avssl.data.scanning.inspect import printable, stamp
from avssl.data.status import DERIVED, DUPLICATE
from avssl.types import UserError


class Earlier:
    """Rows of files whose size and time of writing are as they were, looked into as deep as is asked for now.

    Files whose content could not be read then, or which a worker did not survive, are not among them: that may have
    been the time limit's or the disk's fault. Later tables go before earlier ones.
    """

    def __init__(self, tables: Sequence[pa.Table], check: str) -> None:
        self._tables = tables
        good = (pc.field("content_hash") != "") & _deep(check)
        known = [SCHEMA.empty_table(), *(table.select(SCHEMA.names).filter(good) for table in tables)]
        self._table = pa.concat_tables(known)
        self._scan = [number for number, table in enumerate(known) for _ in range(len(table))]
        paths = self._table["path"].to_pylist()
        self._row = {path: row for row, path in enumerate(paths)}
        self._stamps = list(
            zip(self._table["size_bytes"].to_pylist(), self._table["mtime_ns"].to_pylist(), strict=True)
        )

    def split(self, root: Path, paths: list[str]) -> tuple[pa.Table, list[str], dict[str, str]]:
        """The rows that hold still, the paths of the files to look into, and which of the first repeat another.

        That is the path of each by the path of the file that repeats it; neither has changed since they were compared.
        """
        rows, todo = list[int](), list[str]()
        for path in paths:
            row = self._row.get(printable(path))
            if row is not None and self._stamps[row] == stamp(root / path):
                rows.append(row)
            else:
                todo.append(path)
        return _as_inspected(self._table.take(pa.array(rows, pa.int64()))), todo, self._repeated(rows)

    def with_own_columns(self, table: pa.Table) -> pa.Table:
        """A table of files with the columns that somebody has added to an earlier one; null for files that are new."""
        for earlier in self._tables:
            own = [name for name in earlier.column_names if name not in table.column_names]
            row = {path: number for number, path in enumerate(earlier["path"].to_pylist())} if own else {}
            rows = pa.array([row.get(path) for path in table["path"].to_pylist()] if own else [], pa.int64())
            for name in own:
                table = table.append_column(earlier.schema.field(name), earlier[name].take(rows))
        return table

    def _repeated(self, rows: list[int]) -> dict[str, str]:
        """Pairs whose rows are both among these and of one scan."""
        path, status, detail = (self._table[name].to_pylist() for name in ("path", "status", "detail"))
        kept = {(self._scan[row], path[row]) for row in rows}
        repeated = [row for row in rows if status[row] == DUPLICATE and (self._scan[row], detail[row]) in kept]
        return {path[row]: detail[row] for row in repeated}


def earlier_manifest(file: Path, root: Path) -> list[pa.Table]:
    """The table that an earlier scan of this folder wrote; none where there is no file or it is of another folder.

    Raises UserError for a file that is no manifest: it would be overwritten.
    """
    if not file.exists():
        return []
    try:
        manifest = Manifest.read(file, root)
    except UserError as error:
        raise UserError(f"out={error}; allowed: a new file, or an earlier scan's") from error
    return [manifest.table] if written_root(file) == root.resolve() else []


def _deep(check: str) -> pc.Expression:
    """Whether a row is of a check that went at least as deep."""
    if check == "header":
        return pc.scalar(True)
    video = ~pc.field("has_video") | pc.field("motion").is_valid()
    audio = ~pc.field("has_audio") | pc.field("loudness_db").is_valid()
    return (video & audio) | ~pc.field("status").isin([*DERIVED, DUPLICATE])  # unreadable is unreadable


def _as_inspected(table: pa.Table) -> pa.Table:
    """What follows from other rows or from what is asked of a file is to be decided again."""
    status, detail = table["status"].to_numpy(), table["detail"].to_numpy()
    repeated = status == DUPLICATE
    values = {
        "status": np.where(repeated | np.isin(status, DERIVED), "ok", status),
        "detail": np.where(repeated, "", detail),
    }
    for name, column in values.items():
        table = table.set_column(SCHEMA.get_field_index(name), name, pa.array(column, pa.string()))
    return table
