"""An embedding for every clip or picture of a folder: in parts, so that a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.progress import track
from torch import Tensor

from avssl import distributed
from avssl.console import console, has_bars
from avssl.data.clip_files import VideoFolder
from avssl.data.images import ImageFolder
from avssl.data.pack.store import url_of
from avssl.data.source import EvalSet, Found, Source
from avssl.data.stream.loader import eval_loader
from avssl.data.stream.samples import Broken, ClipKey
from avssl.data.stream.watch import watched
from avssl.evaluation.embeddings import CARD, FACTS, TABLE, Embeddings, table_of
from avssl.evaluation.model import Model
from avssl.files import whole, write_json
from avssl.functional.checks import check
from avssl.models.branches import features_of
from avssl.models.joint import Encoders
from avssl.types import UserError, branch_of

FILES_PER_PART = 256
_MISSING = b"avssl.missing"


@dataclass(frozen=True)
class ClipsToEmbed:
    """The clips of a folder that a model can embed, and what is left out."""

    dataset: EvalSet
    source: Source
    found: Found


def clips_to_embed(
    model: Model,
    root: Path | str,
    *,
    manifest: Path | str | None = None,
    split: str | None = None,
    views: Sequence[str] | None = None,
    clips: int = 1,
    workers: int = 2,
    on_file: Callable[[int, int], None] | None = None,
) -> ClipsToEmbed:
    """The files of a folder, of a pack or of a manifest of it, as the model's source reads them.

    split: only rows of the manifest whose column `split` says so. views: those to embed; files need no other stream.
    clips: per file, evenly spaced. `on_file(done, total)` is called after each file of a scan, by the main rank.
    UserError: an argument that is not allowed; no file can be embedded.
    """
    check("clips", clips, clips > 0, "1 and more")
    root = Path(root).expanduser()
    source = source_of(model, views)
    source = source.at(root, manifest, split)
    files = source.find(workers, on_file) if distributed.is_main() else None
    found = source.embeddable(distributed.broadcast_object(files))
    return ClipsToEmbed(source.eval_set(found.files, clips), source, found)


def source_of(model: Model, views: Sequence[str] | None = None) -> Source:
    """The model's kind of data set, with all views or those of some branches alone: files need no other stream then."""
    source, mine = model.source, model.views
    chosen = list(mine if views is None else views)
    ok = len(chosen) > 0 and set(chosen) <= set(mine)
    check("views", chosen, ok, f"some of {', '.join(mine)}")
    if source is None or isinstance(source, VideoFolder | ImageFolder):
        own = mine if source is None else source.views
        kept = {name: view for name, view in own.items() if branch_of(name) in chosen}
        if source is not None:
            return source.with_views(kept)
        return (
            ImageFolder(None, kept)
            if all(view.stream == "image" for view in kept.values())
            else VideoFolder(None, kept)
        )
    check("views", chosen, set(chosen) == set(mine), f"all of {', '.join(mine)}, for they come from one instance")
    return source


def embed_folder(
    model: Model,
    data: Path | str | ClipsToEmbed,
    out: Path | str,
    *,
    batch_size: int = 64,
    workers: int = 2,
    label_pattern: str | None = None,
    timeout_s: float | int | None = None,
    **settings: Any,
) -> Embeddings:
    """Embed every clip of a folder as avssl-embed does, into `out`/embeddings.parquet and `out`/card.json.

    data: a folder, with the settings of `clips_to_embed`, or what that gave. workers: processes that scan and decode.
    What `label_pattern` and `timeout_s` mean, and what is raised beside `clips_to_embed`'s: see `embed`. A stopped run
    goes on where it was, a finished one is read.
    """
    check("batch_size", batch_size, batch_size > 0, "1 and more")
    out = Path(out).expanduser()
    check("out", str(out), not out.is_file(), "a folder, which need not exist")
    if not isinstance(data, ClipsToEmbed):
        data = clips_to_embed(model, data, workers=workers, **settings)
    dataset, found = data.dataset, data.found
    if len(dataset) == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(found.reasons.items()))
        raise UserError(f"{dataset.root}: no usable file ({reasons}); allowed: {data.source.need}")
    embed(
        model.branches,
        dataset,
        out,
        batch_size=batch_size,
        workers=workers,
        timeout_s=timeout_s,
        device=model.device,
        card={
            **model.about,
            "weights": model.fingerprint,
            "root": url_of(dataset.root) or str(dataset.root.resolve()),
            "left_out": dict(found.reasons),
            "training_overlap": _overlap(model, dataset),
        },
        unusable=found.left_out,
        label_pattern=label_pattern,
    )
    return Embeddings.read(out)


def _overlap(model: Model, dataset: EvalSet) -> int | None:
    """How many instances were trained on; None for another folder, where equal relative paths mean nothing."""
    if model.trained_on is None or model.trained_on[0].expanduser().resolve() != dataset.root.resolve():
        return None
    return len(set(dataset.files().column("id").to_pylist()) & set(model.trained_on[1]()))


def embed(
    branches: Encoders,
    dataset: EvalSet,
    out: Path | str,
    *,
    batch_size: int,
    workers: int,
    device: torch.device | str,
    card: Mapping[str, Any],
    unusable: Sequence[Mapping[str, str]] = (),
    label_pattern: str | None = None,
    timeout_s: float | int | None = None,
) -> dict[str, Any]:
    """Write `out`/embeddings.parquet and `out`/card.json, and return the card.

    For each view two columns: the embedding under the view's name, the encoder's output under "{view}.feature".
    `unusable` files (id, path, reason), and files that cannot be decoded after all, are listed as missing with all
    their clips. Ranks share the parts; all see `out`. `label_pattern` is a regular expression whose group, found in a
    file's path, is its label ("" where it is not found) in place of the data set's.
    card: JSON values that say what makes the embeddings; `root` and `checkpoint` are shown and used by evaluations,
    and so are `left_out` (reason: count) and `training_overlap` (count) where they are given. A stopped run with the
    same card, files and views goes on, a finished one is left as it is.
    UserError: `out` holds embeddings of another card; no file can be embedded; an embedding is not finite; a worker
    died, or gave nothing for `timeout_s`, at a file that it names and that the next run would meet again.
    """
    out, files = Path(out), relabelled(dataset.files(), label_pattern)
    identity = json.loads(json.dumps({**card, **_identity(dataset, files)}))
    if (done := _known(out, identity)) is not None:
        return done
    distributed.barrier()  # all ranks have looked before the first one writes
    if distributed.is_main():
        write_json(out / "parts" / CARD, identity)
    parts = [out / "parts" / f"part-{n:05d}.parquet" for n in range(-(-len(files) // FILES_PER_PART))]
    mine = [n for n in range(distributed.rank(), len(parts), distributed.world_size()) if not parts[n].exists()]
    branches.to(device).eval()
    tables = _tables(branches, dataset, files, mine, batch_size, workers, device, timeout_s)
    for n, table in zip(mine, tables, strict=True):
        with whole(parts[n]) as handle:
            pq.write_table(table, handle)
    distributed.barrier()  # all parts are there
    if distributed.is_main():
        _merge(parts, out, identity, len(files), [dict(file) for file in unusable])
    distributed.barrier()  # the card is there
    return json.loads((out / CARD).read_text("utf-8"))


def relabelled(files: pa.Table, pattern: str | None) -> pa.Table:
    """The files with the labels that the pattern's group finds in their paths. UserError: it finds none, or is none."""
    if pattern is None:
        return files
    try:
        found = [re.search(pattern, path) for path in files.column("path").to_pylist()]
        labels = [match[1] or "" if match else "" for match in found]
    except (re.error, IndexError) as error:
        raise UserError(f"label_pattern={pattern}: {error}; allowed: a regular expression with one (group)") from error
    if not any(labels):
        raise UserError(f"label_pattern={pattern}: finds nothing in {files.column('path')[0]}")
    return files.set_column(files.column_names.index("label"), "label", pa.array(labels, pa.string()))


def _identity(dataset: EvalSet, files: pa.Table) -> dict[str, Any]:
    facts = "\n".join(" ".join(map(str, row.values())) for row in files.to_pylist())
    return {
        "files": hashlib.sha256(facts.encode()).hexdigest()[:16],
        "views": {name: {"duration_s": duration_s} for name, duration_s in dataset.durations_s().items()},
        "clips_per_file": dataset.clips_per_video,
    }


def _known(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The card of a finished run with this identity. UserError: `out` belongs to another."""
    finished = out / CARD
    for file in (finished, out / "parts" / CARD):
        if file.is_file():
            found = json.loads(file.read_text("utf-8"))
            if other := [key for key, value in identity.items() if found.get(key) != value]:
                raise UserError(f"out={out}: holds embeddings with another {', '.join(other)}; choose another folder")
            return found if file == finished else None
    return None


def _tables(
    branches: Encoders,
    dataset: EvalSet,
    files: pa.Table,
    parts: list[int],
    batch_size: int,
    workers: int,
    device: torch.device | str,
    timeout_s: float | int | None,
) -> Iterator[pa.Table]:
    """The finished table of each part, in turn."""
    keys = [_batches(dataset, part, batch_size) for part in parts]
    loader = eval_loader(dataset, [batch for part in keys for batch in part], workers, timeout_s=timeout_s)
    silent = not (distributed.is_main() and has_bars())
    batches = iter(track(watched(loader), "embedding", len(loader), console=console, disable=silent))
    for part in keys:
        tables, broken = [], dict[int, Broken]()
        for _ in part:
            batch = next(batches)
            broken |= {item.row: item for item in batch.broken}
            if batch.batch is not None:
                rows = batch.batch.index.tolist()
                vectors = _vectors(branches, batch.batch.to(device).views)
                _check_finite(vectors, [str(dataset.root / files["path"][row].as_py()) for row in rows])
                tables.append((rows, _rows(files, rows, batch.start_s, vectors)))
        whole_files = [t.filter(pa.array([row not in broken for row in rows])) for rows, t in tables]
        table = pa.concat_tables(whole_files) if whole_files else FACTS.empty_table()
        yield table.replace_schema_metadata({_MISSING: json.dumps([_missing(files, b) for b in broken.values()])})


def _batches(dataset: EvalSet, part: int, batch_size: int) -> list[list[ClipKey]]:
    rows = range(len(dataset))[part * FILES_PER_PART : (part + 1) * FILES_PER_PART]
    keys = [ClipKey(0, row, clip) for row in rows for clip in range(dataset.clips_per_video)]
    return [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]


@torch.inference_mode()
def _vectors(branches: Encoders, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
    features = features_of(branches, views)
    return {**branches.project(features), **{f"{view}.feature": x for view, x in features.items()}}


def _check_finite(vectors: Mapping[str, Tensor], paths: list[str]) -> None:
    for name, x in vectors.items():
        if not (finite := x.isfinite().all(1)).all():
            raise UserError(f"{paths[int(finite.int().argmin())]}: the checkpoint's {name} of it is not finite")


def _rows(files: pa.Table, rows: list[int], start_s: list[float], vectors: Mapping[str, Tensor]) -> pa.Table:
    facts = files.select(["id", "path", "label"]).take(rows).to_pydict()
    return table_of(facts["id"], facts["path"], facts["label"], start_s, vectors)


def _missing(files: pa.Table, broken: Broken) -> dict[str, str]:
    facts = files.select(["id", "path"]).slice(broken.row, 1).to_pylist()[0]
    return {**facts, "reason": broken.reason}


def _merge(
    parts: list[Path], out: Path, identity: dict[str, Any], expected: int, unusable: list[dict[str, str]]
) -> None:
    """One table of all parts, held in memory one by one; then the card, which makes it valid; then the parts go."""
    missing = [m for part in parts for m in json.loads((pq.read_schema(part).metadata or {})[_MISSING])]
    if len(missing) == expected:
        shutil.rmtree(out / "parts")
        raise UserError(f"{out}: no file can be embedded; {missing[0]['path']}: {missing[0]['reason']}")
    filled = [part for part in parts if pq.read_metadata(part).num_rows]
    schema = pq.read_schema(filled[0]).remove_metadata()
    with whole(out / TABLE) as handle, pq.ParquetWriter(handle, schema) as writer:
        for part in filled:
            writer.write_table(pq.read_table(part).cast(schema))
    clips = Embeddings(pq.read_table(out / TABLE, columns=FACTS.names))
    card = {
        **identity,
        "expected": expected + len(unusable),
        "done": expected - len(missing),
        "missing": unusable + missing,
        "clips": len(clips),
        "dims": {name: schema.field(name).type.list_size for name in schema.names if name not in FACTS.names},
        "hash": clips.hash,
    }
    write_json(out / CARD, card)
    shutil.rmtree(out / "parts")
