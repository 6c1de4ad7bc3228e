"""The table of a folder's media files: one row per file, with the facts of it and whether it can be used."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avssl.data.paths import check_below
from avssl.data.status import DEFAULT, DUPLICATE, MISSING, UNREADABLE, Limits, status_of, statuses
from avssl.files import whole
from avssl.types import UserError

__all__ = ["DUPLICATE", "MISSING", "SCHEMA", "UNREADABLE", "Manifest", "instance_id", "label_of", "status_of"]

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # hash of the path
        ("path", pa.string()),  # posix, relative to the root
        ("label", pa.string()),  # the listing's, or else the name of the parent folder, "" at the root
        ("split", pa.string()),  # the listing's, or else ""
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),  # when the file was last written
        ("content_hash", pa.string()),  # "" where the file could not be read
        ("container", pa.string()),  # FFmpeg's name of the format
        ("has_video", pa.bool_()),
        ("has_audio", pa.bool_()),
        ("duration_s", pa.float64()),  # span in which all streams play, 0 when unknown
        ("start_s", pa.float64()),  # start of that span, from the start of the file's earliest stream
        ("width", pa.int32()),  # as shown, after rotation
        ("height", pa.int32()),
        ("rotation", pa.int32()),  # degrees, counter-clockwise
        ("fps", pa.float64()),  # mean rate by the frames' times
        ("frames", pa.int64()),  # 0 when unknown
        ("video_codec", pa.string()),
        ("audio_codec", pa.string()),
        ("audio_rate_hz", pa.int32()),
        ("channels", pa.int32()),
        ("video_start_s", pa.float64()),  # from the start of the file's earliest stream
        ("audio_start_s", pa.float64()),  # the same
        ("video_duration_s", pa.float64()),  # 0 when unknown
        ("audio_duration_s", pa.float64()),  # the same
        ("loudness_db", pa.float64()),  # RMS of the loudest second in dB of full scale; null when not measured
        ("motion", pa.float64()),  # mean change of pictures 0.25 s apart in grey levels; null when not measured
        ("video_error_s", pa.float64()),  # where the first decoding error was met; null where none was
        ("audio_error_s", pa.float64()),  # the same
        ("status", pa.string()),  # "ok" or the reason why not, see `status`
        ("detail", pa.string()),  # what the decoder says, or the file that this one is a duplicate of
    ]
)
_ROOT, _LIMITS = b"avssl.root", b"avssl.limits"


def instance_id(relative_path: str) -> str:
    """The stable name of an instance: 16 hex digits of the hash of its posix path relative to the root."""
    return hashlib.blake2b(relative_path.encode(), digest_size=8).hexdigest()


def label_of(relative_path: str) -> str:
    """Name of the folder that holds the file, "" at the root."""
    return PurePosixPath(relative_path).parent.name


def written_root(file: Path | str) -> Path:
    """The folder that a manifest's paths were relative to when it was written."""
    return Path((pq.read_schema(file).metadata or {}).get(_ROOT, b".").decode())


@dataclass(frozen=True)
class Manifest:
    """Rows of SCHEMA and of what columns the user adds, sorted by path, and the folder their paths are relative to."""

    root: Path
    table: pa.Table
    limits: Limits = DEFAULT
    """What the statuses were decided by."""

    @classmethod
    def of(cls, root: Path, rows: Sequence[Mapping[str, Any]]) -> Manifest:
        return cls(root, pa.Table.from_pylist(sorted(rows, key=lambda row: row["path"]), schema=SCHEMA))

    @classmethod
    def read(cls, file: Path | str, root: Path | str | None = None) -> Manifest:
        """Read a manifest; `root` replaces the folder written in it, for one that moved. Raises UserError."""
        try:
            table = pq.read_table(file)
            known = [SCHEMA.field(name) if name in SCHEMA.names else table.field(name) for name in table.column_names]
            facts = table.cast(pa.schema(known))
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{file}: not a readable manifest: {str(error).splitlines()[0]}") from error
        if missing := [name for name in SCHEMA.names if name not in table.column_names]:
            raise UserError(f"{file}: not a manifest: it lacks the columns {', '.join(missing)}")
        check_below(file, facts.column("path").to_pylist())
        metadata = table.schema.metadata or {}
        try:
            folder = Path(root or metadata.get(_ROOT, b".").decode())
            limits = Limits(**json.loads(metadata.get(_LIMITS, b"{}")))
        except (TypeError, ValueError) as error:
            raise UserError(f"{file}: not a readable manifest: {error}") from error
        if not folder.is_dir():
            raise UserError(f"{file}: its folder {folder} does not exist; give the folder as data.root")
        return cls(folder, facts.sort_by("path"), limits)

    def write(self, file: Path | str) -> None:
        """Write the manifest as Parquet; a reader sees the old file or the whole new one."""
        metadata = {_ROOT: str(self.root.resolve()).encode(), _LIMITS: json.dumps(asdict(self.limits)).encode()}
        with whole(Path(file)) as handle:
            pq.write_table(self.table.replace_schema_metadata(metadata), handle)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def ids(self) -> list[str]:
        return self.column("id")

    @property
    def paths(self) -> list[str]:
        return self.column("path")

    @property
    def labels(self) -> list[str]:
        return self.column("label")

    def column(self, name: str) -> list[Any]:
        return self.table.column(name).to_pylist()

    def path(self, row: int) -> Path:
        return self.root / self.table.column("path")[row].as_py()

    def statuses(self, require: Sequence[str], min_duration_s: float | int) -> pa.Array:
        """For each row "ok", or the first reason why it cannot be used."""
        return statuses(self.table, require, min_duration_s, self.limits)

    def select(
        self, require: Sequence[str] = ("video", "audio"), min_duration_s: float | int = 0.0
    ) -> tuple[Manifest, Counter[str]]:
        """The rows that can be used, and how many are left out for each reason."""
        found = self.statuses(require, min_duration_s)
        counts = Counter({pair["values"]: pair["counts"] for pair in found.value_counts().to_pylist()})
        del counts["ok"]
        usable = pa.array(np.equal(found.to_numpy(zero_copy_only=False), "ok"), pa.bool_())
        return Manifest(self.root, self.table.filter(usable), self.limits), counts
