"""From a folder to its manifest: every media file is looked into once, and none of them can stop the scan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from avssl.data.listing import Listed
from avssl.data.manifest import Manifest, label_of
from avssl.data.scanning.content import find_duplicates
from avssl.data.scanning.earlier import Earlier, earlier_manifest
from avssl.data.scanning.folder import EXTENSIONS, media_files
from avssl.data.scanning.inspect import CHECKS, describe, printable, row_of
from avssl.data.scanning.isolated import Failed, isolated
from avssl.data.scanning.journal import Journal, table_of
from avssl.data.status import DEFAULT, Limits, statuses
from avssl.functional.checks import check_choice
from avssl.types import UserError

__all__ = ["EXTENSIONS", "media_files", "scan"]

log = logging.getLogger(__name__)
OnFile = Callable[[int, int], None]


def scan(
    root: Path | str,
    *,
    require: Sequence[str] = ("video", "audio"),
    min_duration_s: float | int = 0.5,
    limits: Limits = DEFAULT,
    check: str = "header",
    listing: Mapping[str, Listed] | None = None,
    out: Path | None = None,
    workers: int = 0,
    timeout_s: float | int = 30.0,
    memory_mb: int = 2048,
    on_file: OnFile | None = None,
) -> Manifest:
    """List the media files below a folder, each with its facts and its status for these requirements.

    check: "header" reads headers and decodes the first frame of each stream; "decode" decodes everything once.
    With a `listing` its files and no others, whatever their extension; one that is not there has the status "missing".
    With `out` the manifest is written there; files that have not changed since an earlier scan to it, or since one that
    was killed, are taken over. Workers have `timeout_s` and `memory_mb` MiB for each file, and one of them that a file
    kills is replaced; with 0 workers the files are opened in this process, without limits.
    `on_file(done, total)` is called after each file. Raises UserError for a folder without media files.

    >>> import avssl
    >>> manifest = avssl.scan("videos")
    >>> len(manifest), manifest.paths[0], set(manifest.column("status"))
    (24, 'clover/clover_00004.mp4', {'ok'})
    """
    root = Path(root).expanduser()
    check_choice("check", check, CHECKS)
    paths = _paths(root, listing)
    look = partial(_look, root, check, workers, timeout_s, memory_mb)
    with _resumable(out, root, check) as (earlier, journal):
        kept, todo, repeated = earlier.split(root, paths)
        if len(kept):
            log.info("%d of %d files have not changed since they were last scanned", len(kept), len(paths))
        new = table_of(_followed(look(todo), journal, on_file, len(kept), len(paths)))
        table = pa.concat_tables([kept, new]).sort_by("path")
        table = _marked(root, earlier.with_own_columns(_labelled(table, listing)), repeated)
        table = _with(table, status=statuses(table, require, min_duration_s, limits))
        manifest = Manifest(root, table, limits)
        if out is not None and journal is not None:
            manifest.write(out)
            journal.remove()
    return manifest


def _paths(root: Path, listing: Mapping[str, Listed] | None) -> list[str]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    paths = sorted(media_files(root) if listing is None else listing)
    if not paths:
        raise UserError(f"{root}: no media files in it; known extensions: {', '.join(sorted(EXTENSIONS))}")
    return paths


@contextmanager
def _resumable(out: Path | None, root: Path, check: str) -> Iterator[tuple[Earlier, Journal | None]]:
    """What is known from before, and where to note what is found now."""
    if out is None:
        yield Earlier([], check), None
        return
    with closing(Journal(out.with_name(f"{out.name}.journal"), root)) as journal:
        yield Earlier([*earlier_manifest(out, root), journal.rows], check), journal


def _look(
    root: Path, check: str, workers: int, timeout_s: float | int, memory_mb: int, paths: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The row of each file, as they are done."""
    function = partial(describe, root, check=check)
    for path, row in isolated(function, paths, workers=workers, timeout_s=timeout_s, memory_mb=memory_mb):
        yield row_of(root, path, row.status, row.detail) if isinstance(row, Failed) else row


def _followed(
    rows: Iterator[dict[str, Any]], journal: Journal | None, on_file: OnFile | None, done: int, total: int
) -> Iterator[dict[str, Any]]:
    """The rows, each noted and told of when it comes."""
    for row in rows:
        if journal is not None:
            journal.add(row)
        done += 1
        if on_file:
            on_file(done, total)
        yield row


def _labelled(table: pa.Table, listing: Mapping[str, Listed] | None) -> pa.Table:
    """With the listing's columns, or else the folders' names as labels."""
    paths = table["path"].to_pylist()
    if listing is None:
        return _with(table, label=[label_of(path) for path in paths], split=[""] * len(paths))
    by_name = {printable(path): listed for path, listed in listing.items()}
    listed = [by_name[path] for path in paths]
    table = _with(table, label=[row.label for row in listed], split=[row.split for row in listed])
    for name in dict.fromkeys(name for row in listed for name in row.extra):
        table = table.append_column(name, pa.array([row.extra.get(name, "") for row in listed], pa.string()))
    return table


def _marked(root: Path, table: pa.Table, known: Mapping[str, str]) -> pa.Table:
    """With the status of files that repeat another's content."""
    good = table.filter(pc.field("status") == "ok").select(["path", "size_bytes", "content_hash"])
    counts = good.group_by("content_hash").aggregate([("path", "count")]).filter(pc.field("path_count") > 1)
    files = good.filter(pc.field("content_hash").isin(counts["content_hash"].combine_chunks())).to_pylist()
    found = find_duplicates(root, (tuple(file.values()) for file in files), known)
    if not found:
        return table
    paths, status, detail = (table[name].to_pylist() for name in ("path", "status", "detail"))
    for row, path in enumerate(paths):
        if path in found:
            status[row], detail[row] = found[path]
    return _with(table, status=status, detail=detail)


def _with(table: pa.Table, **columns: Any) -> pa.Table:
    """With these string columns instead of the table's."""
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table
