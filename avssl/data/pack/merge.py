"""The pack's manifest and index: of all records that are there, with labels and columns of the source's manifest."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from avssl.data.manifest import SCHEMA, Manifest
from avssl.data.pack.records import DECODE_ERROR, INDEX_SCHEMA, PACKED, RECORD_SCHEMA, read_records, record_files
from avssl.data.pack.settings import INDEX, MANIFEST, MP4, SHARDS, Settings
from avssl.files import whole


def merge(out: Path, files: Manifest, settings: Settings) -> Manifest:
    """Write index, then manifest, of the records of `files`, and once more where a node added one meanwhile."""
    while True:
        records = record_files(out)
        manifest, index = merged(out, files, settings)
        if settings.format != MP4:
            with whole(out / INDEX) as handle:
                pq.write_table(index, handle)
        manifest.write(out / MANIFEST)
        if record_files(out) == records:
            return manifest


def merged(out: Path, files: Manifest, settings: Settings) -> tuple[Manifest, pa.Table]:
    tables = [table for _, table in read_records(out)]
    packed = pa.concat_tables(tables) if tables else RECORD_SCHEMA.empty_table()
    status = packed.column("status").to_pylist()
    order = sorted(range(len(status)), key=lambda row: status[row] == DECODE_ERROR, reverse=True)
    found = {packed.column("id")[row].as_py(): row for row in order}  # what is packed comes after what failed
    rows = [row for row, name in enumerate(files.ids) if name in found]
    source, packed = files.table.take(rows), packed.take([found[files.ids[row]] for row in rows])
    columns = {name: source.column(name) for name in source.column_names}
    columns |= {field.name: packed.column(field.name) for field in PACKED}
    columns |= {name: packed.column(name) for name in ("source_path", "source_hash")}
    if settings.format == SHARDS:
        columns.pop("shard", None)  # the source's own, if it was a pack
        columns["shard"] = packed.column("shard")
    names = [*SCHEMA.names, *(name for name in columns if name not in SCHEMA.names)]
    manifest = Manifest(out, pa.table({name: columns[name] for name in names}).sort_by("path"), files.limits)
    good = packed.filter(pa.array([status == "ok" for status in packed.column("status").to_pylist()], pa.bool_()))
    return manifest, good.select(INDEX_SCHEMA.names).combine_chunks()
