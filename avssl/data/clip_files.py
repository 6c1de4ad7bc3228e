"""A folder of media files as a data set: each file an instance, its views clips of picture and sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.compute as pc

from avssl.data.clips import ClipDataset, VideoView, View, min_duration
from avssl.data.decode.backend import Reader
from avssl.data.decode.readers import check_decoder, open_reader
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.scanning.inspect import describe
from avssl.data.source import Found, Source, by_branch
from avssl.types import UserError


class FileOpener:
    """Opens the media file of each row of a manifest with a decoder of `readers.DECODERS`."""

    def __init__(self, manifest: Manifest, decoder: str = "av") -> None:
        self._root, self._decoder = manifest.root, decoder
        self._paths = manifest.table.column("path").combine_chunks()  # a list of a million is a gigabyte a worker

    def __call__(self, row: int) -> Reader:
        return open_reader(self._root / self._paths[row].as_py(), self._decoder)


class Clips(Source):
    """Files that have all streams of the views, and last as long as the longest view."""

    def __init__(self, views: Mapping[str, View], decoder: str = "av") -> None:
        check_decoder(decoder, "data.source.decoder")
        self.views, self.decoder = views, decoder

    @property
    def need(self) -> str:
        return f"files with {' and '.join(self._streams)} of {min_duration(self.views):g} s and more"

    @property
    def _streams(self) -> list[str]:
        """Picture first."""
        kinds = {"video" if isinstance(view, VideoView) else "audio" for view in self.views.values()}
        return sorted(kinds, reverse=True)

    def find(
        self, root: Path, manifest: Path | None, workers: int, on_file: Callable[[int, int], None] | None = None
    ) -> Manifest:
        if manifest is not None:
            return Manifest.read(manifest, root)
        need = min_duration(self.views)
        return scan(root, require=self._streams, min_duration_s=need, workers=workers, on_file=on_file)

    def trainable(self, files: Manifest) -> Found:
        need = self._streams, min_duration(self.views)
        told = files.table.select(["id", "path"]).append_column("reason", files.statuses(*need))
        return Found(files.select(*need)[0], told.filter(pc.field("reason") != "ok").to_pylist())

    def view_names(self, files: Manifest | None) -> list[str]:
        return list(self.views)

    def train_set(self, files: Manifest, seed: int, clips_per_video: int) -> ClipDataset:
        open_row = FileOpener(files, self.decoder)
        return ClipDataset(files, self.views, open_row, seed=seed, train=True, clips_per_video=clips_per_video)

    def embeddable(self, files: Manifest) -> Found:
        return self.trainable(files)

    def eval_set(self, files: Manifest, clips: int) -> ClipDataset:
        views = by_branch(self.views)
        open_row = FileOpener(files, self.decoder)
        return ClipDataset(files, views, open_row, seed=0, train=False, clips_per_video=clips)

    def query_set(self, file: Path, branch: str) -> ClipDataset:
        one = Clips({branch: by_branch(self.views)[branch]}, self.decoder)
        found = one.trainable(Manifest.of(file.parent, [facts := describe(file.parent, file.name)]))
        if found.left_out:
            reason = f"{found.left_out[0]['reason']} {facts['detail']}".strip()
            raise UserError(f"query={file}: {reason}; allowed: {one.need}")
        return one.eval_set(found.files, 1)
