"""From a manifest to a pack, resumably, by one process or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from avssl.data.manifest import Manifest
from avssl.data.pack.engines import ENGINES
from avssl.data.pack.kept import damaged, keep, sweep
from avssl.data.pack.merge import merge
from avssl.data.pack.part import PartPacker
from avssl.data.pack.plan import items_of, owned, parts, prefix_of
from avssl.data.pack.records import read_records
from avssl.data.pack.settings import CARD, Settings, claim, read_card
from avssl.data.pack.store import url_of
from avssl.functional.checks import check, check_choice
from avssl.types import UserError


class Packed(NamedTuple):
    """The pack's manifest so far; of its instances how many this run packed; how many are still to come."""

    manifest: Manifest
    new: int
    to_come: int


def pack(
    files: Manifest,
    out: Path,
    settings: Settings,
    *,
    workers: int = 0,
    shard: tuple[int, int] = (0, 1),
    engine: str = "process",
    verify: bool = False,
    retry_errors: bool = False,
    on_file: Callable[[int, int], None] | None = None,
) -> Packed:
    """Pack usable files into the folder `out`, in which what is whole and of the same sources is kept.

    shard (i, n): only the i-th of n shares, counted from 0; all nodes write to the same folder, the last to end makes
    the manifest whole. verify: what is there is read, and packed anew where its checksum is another. retry_errors: try
    again what could not be decoded. `on_file(done, total)` is called after each part. Raises UserError.
    """
    check_choice("engine", engine, tuple(ENGINES))
    _check_apart(files.root, out)
    items = items_of(files, settings)
    claim(out, settings)
    kept = keep(out, files.root, items, settings, shard, verify=verify, retry_errors=retry_errors)
    prefix = prefix_of(*shard)
    sweep(out, settings, prefix)
    mine = owned(items, *shard)
    todo = [item for item in mine if item.id not in kept.ids]
    done, new = len(mine) - len(todo), 0
    planned = list(parts(todo, settings, prefix, kept.names))
    for count in ENGINES[engine](PartPacker(files.root, out, settings), planned, workers):
        new += count
        if on_file:
            on_file(done + new, len(mine))
    manifest = merge(out, files, settings)
    return Packed(manifest, new, len(files) - len(manifest))


def check_pack(out: Path) -> tuple[int, list[str]]:
    """How many instances a pack's records tell of, and the files that have not the checksum they were written with."""
    card = out / CARD
    if not card.is_file():
        raise UserError(f"out={out}: no {CARD} in it; allowed: a folder that avssl-prep pack made")
    settings, count, bad = read_card(card.read_bytes(), card), 0, list[str]()
    for _, table in read_records(out):
        rows = [row for row in table.to_pylist() if row["status"] == "ok"]
        count += len(rows)
        bad += damaged(out, rows, settings, thorough=True)
    return count, bad


def parse_shard(text: str | None) -> tuple[int, int]:
    """ "1/8" is the second of eight shares; none is all. Raises UserError."""
    allowed = "i/n with i from 0 to n - 1"
    if text is None:
        return 0, 1
    numbers: Sequence[str] = str(text).split("/")
    check("shard", text, len(numbers) == 2 and all(n.isascii() and n.isdigit() for n in numbers), allowed)
    node, nodes = (int(number) for number in numbers)
    check("shard", text, node < nodes, allowed)
    return node, nodes


def _check_apart(root: Path, out: Path) -> None:
    """Raise UserError where the pack would lie among its sources, which it could overwrite, or a scan take for them."""
    check("out", str(out), url_of(out) is None, "a local folder")
    apart = not out.resolve().is_relative_to(root.resolve())
    check("out", str(out), apart, f"a folder outside of the source's, {root}")
