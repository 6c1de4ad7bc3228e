"""What a scan has found so far, on the disk: one that was killed goes on where it was."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from avssl.data.manifest import SCHEMA
from avssl.types import UserError

BATCH = 10_000


class Journal:
    """An append-only file of JSON lines, rows of SCHEMA, written to at once. Closed by `close` or `remove`.

    A journal of another folder or another version is begun anew, and a torn last line is cut off. Raises UserError
    where it cannot be written or another process writes to it.
    """

    def __init__(self, file: Path, root: Path) -> None:
        head = json.dumps({"root": str(root.resolve()), "columns": SCHEMA.names})
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file, self._handle = file, file.open("a+b")
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._handle.close()
            raise UserError(f"{file}: another scan writes to it") from error
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from error
        self.rows = SCHEMA.empty_table()
        self._handle.seek(0)
        if self._handle.readline().decode() == f"{head}\n":
            self.rows = table_of(self._whole_lines())
        else:
            self._handle.truncate(0)
            self._write(head)

    def _whole_lines(self) -> Iterator[dict[str, Any]]:
        """The rows after the first line."""
        good = self._handle.tell()
        for line in self._handle:
            if not line.endswith(b"\n"):
                break
            good += len(line)
            yield json.loads(line)
        self._handle.truncate(good)

    def add(self, row: Mapping[str, Any]) -> None:
        self._write(json.dumps(row))

    def _write(self, line: str) -> None:
        try:
            self._handle.write(f"{line}\n".encode())
            self._handle.flush()
        except OSError as error:
            raise UserError(f"cannot write {self._file}: {error.strerror}") from error

    def close(self) -> None:
        self._handle.close()

    def remove(self) -> None:
        self._file.unlink()
        self.close()


def table_of(rows: Iterator[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of SCHEMA, with few of them at a time as objects: a million rows fit."""
    batches, part = list[pa.RecordBatch](), list[Mapping[str, Any]]()
    for row in rows:
        part.append(row)
        if len(part) == BATCH:
            batches.append(pa.RecordBatch.from_pylist(part, schema=SCHEMA))
            part = []
    if part:
        batches.append(pa.RecordBatch.from_pylist(part, schema=SCHEMA))
    return pa.Table.from_batches(batches, SCHEMA)
