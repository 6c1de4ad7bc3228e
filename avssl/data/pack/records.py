"""What is packed so far: a small table beside each part of the pack, written when the part's media are whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from avssl.data.manifest import SCHEMA
from avssl.data.pack.settings import PARTS
from avssl.data.paths import check_below
from avssl.files import whole
from avssl.types import UserError

DECODE_ERROR = "decode_error"
SOURCE = ("id", "label", "split", "loudness_db", "motion")
"""Columns of a pack's manifest that are the source's."""
INDEX_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("shard", pa.string()),  # the file, relative to the pack; of memmap without ".uint8" and ".int16"
        ("frames", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("frames_offset", pa.int64()),  # byte at which the first frame begins
        (
            "frame_sizes",
            pa.list_(pa.int32()),
        ),  # bytes of each JPEG; the next begins 512 after its end, rounded up to 512
        ("sound_offset", pa.int64()),  # byte at which the first sample begins
        ("samples", pa.int64()),
        ("offset", pa.int64()),  # of shards: where the instance's members begin; it takes `size_bytes`
    ]
)
PACKED = [field for field in SCHEMA if field.name not in SOURCE]
RECORD_SCHEMA = pa.schema(
    [
        *(field for field in INDEX_SCHEMA if field.name not in SCHEMA.names or field.name == "id"),
        *PACKED,
        ("source_path", pa.string()),
        ("source_hash", pa.string()),
        ("source_size_bytes", pa.int64()),
        ("source_mtime_ns", pa.int64()),
    ]
)


def write_record(out: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    with whole(out / PARTS / f"{name}.parquet") as handle:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=RECORD_SCHEMA), handle)


def record_files(out: Path) -> list[Path]:
    return sorted((out / PARTS).glob("*.parquet"))


def read_record(file: Path) -> pa.Table:
    """Raises UserError for a table that is none of ours, or names files outside of the pack; FileNotFoundError."""
    try:
        table = pq.read_table(file).cast(RECORD_SCHEMA)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a part of a pack: {str(error).splitlines()[0]}; delete it") from error
    check_below(file, table.column("path").to_pylist())
    check_below(file, (name for name in table.column("shard").unique().to_pylist() if name))
    return table


def read_records(out: Path) -> Iterator[tuple[Path, pa.Table]]:
    """Of each record its file and its table, without those that another node removes meanwhile."""
    for file in record_files(out):
        try:
            table = read_record(file)
        except FileNotFoundError:
            continue
        yield file, table
