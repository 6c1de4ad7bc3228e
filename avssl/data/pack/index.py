"""Where each instance of a pack of shards or arrays lies."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int32

from avssl.data.pack.memmap import FRAMES, SOUND
from avssl.data.pack.records import INDEX_SCHEMA
from avssl.data.pack.settings import INDEX, MEMMAP, Settings
from avssl.data.pack.store import Store
from avssl.types import UserError


class Entry(NamedTuple):
    """An instance's bytes: of its frames in one file, of its samples in the same or another."""

    frames_file: str
    sound_file: str
    frames: int
    height: int
    width: int
    frames_offset: int
    frame_sizes: Int32[np.ndarray, " n"]
    sound_offset: int
    samples: int


class Index:
    """Entries by id. Four bytes a frame of a shard, and about 100 an instance, are held in memory.

    Raises UserError where the file is not an index, or names files or bytes outside of the pack.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        where = f"{store.root}/{INDEX}"
        try:
            table = pq.read_table(BytesIO(store.whole(INDEX))).cast(INDEX_SCHEMA).combine_chunks()
        except (ValueError, pa.ArrowException) as error:
            raise error if isinstance(error, UserError) else UserError(f"{where}: not a pack's index") from error
        shards = table.column("shard").dictionary_encode().combine_chunks()
        self._suffixes = (FRAMES, SOUND) if settings.format == MEMMAP else ("", "")
        self._shards: list[str] = shards.dictionary.to_pylist()
        store.check(INDEX, (shard + suffix for shard in self._shards for suffix in self._suffixes))
        names = ("frames", "height", "width", "frames_offset", "sound_offset", "samples")
        self._shard = shards.indices.to_numpy()
        self._numbers = np.stack([table.column(name).to_numpy().astype(np.int64) for name in names], 1)
        sizes = table.column("frame_sizes").combine_chunks()
        self._starts, self._sizes = sizes.offsets.to_numpy(), sizes.values.to_numpy()
        self._rows = {name: row for row, name in enumerate(table.column("id").to_pylist())}
        counts = np.diff(self._starts)
        frames, height, width = self._numbers[:, :3].T
        ok = (self._numbers >= 0).all() and (self._sizes >= 0).all() and ((height * width > 0) | (frames == 0)).all()
        if not ok or (settings.format != MEMMAP and (counts != self._numbers[:, 0]).any()):
            raise UserError(f"{where}: offsets or sizes that cannot be; make the pack again")

    def __getitem__(self, instance: str) -> Entry:
        """Raises KeyError."""
        row = self._rows[instance]
        shard = self._shards[self._shard[row]]
        frames, height, width, frames_offset, sound_offset, samples = self._numbers[row].tolist()
        sizes = self._sizes[self._starts[row] : self._starts[row + 1]]
        pictures, sound = (shard + suffix for suffix in self._suffixes)
        return Entry(pictures, sound, frames, height, width, frames_offset, sizes, sound_offset, samples)
