"""A folder of media files as a data set: each file an instance, its views clips of picture and sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pyarrow.compute as pc

from avssl.data.clips import AudioView, ClipDataset, Opener, VideoView, View, min_duration
from avssl.data.decode.backend import Reader
from avssl.data.decode.readers import check_decoder, open_reader
from avssl.data.manifest import Manifest
from avssl.data.scan import scan
from avssl.data.scanning.inspect import describe
from avssl.data.source import Found, OnFile, Source, by_branch
from avssl.data.transforms.audio import LogSpectrogram
from avssl.errors import UserError


class FileOpener:
    """Opens the media file of each row of a manifest with a decoder of `readers.DECODERS`."""

    def __init__(self, manifest: Manifest, decoder: str = "av") -> None:
        self._root, self._decoder = manifest.root, decoder
        self._paths = manifest.table.column("path").combine_chunks()  # a list of a million is a gigabyte a worker

    def __call__(self, row: int) -> Reader:
        return open_reader(self._root / self._paths[row].as_py(), self._decoder)


class VideoFolder(Source):
    """A folder of media files, each an instance: files that have all streams of the views, and are as long as they.

    `views` are VideoView and AudioView by name, `default_views(size)` where None; `decoder` is one of
    `readers.DECODERS`. `manifest` is a file from avssl-prep scan; without one the folder is scanned. `split`: only
    rows of the manifest whose column split says so. UserError: a decoder that is not allowed.
    """

    UNSAVED: ClassVar = (*Source.UNSAVED, "size")

    def __init__(
        self,
        root: Path | str | None = None,
        views: Mapping[str, View] | None = None,
        *,
        manifest: Path | str | None = None,
        split: str | None = None,
        decoder: str = "av",
        size: int = 112,
    ) -> None:
        check_decoder(decoder, "decoder")
        super().__init__(root, default_views(size) if views is None else views, manifest, split)
        self.decoder = decoder

    def at(self, root: Path | str, manifest: Path | str | None = None, split: str | None = None) -> Source:
        """The same views of another folder, or of a pack."""
        from avssl.data.packed import PackedVideos, is_pack

        if is_pack(Path(root).expanduser()):
            return PackedVideos(root, self.views, manifest=manifest, split=split, decoder=self.decoder)
        return VideoFolder(root, self.views, manifest=manifest, split=split, decoder=self.decoder)

    @property
    def need(self) -> str:
        return f"files with {' and '.join(self._streams)} of {min_duration(self.views):g} s and more"

    @property
    def _streams(self) -> list[str]:
        """Picture first."""
        kinds = {"video" if isinstance(view, VideoView) else "audio" for view in self.views.values()}
        return sorted(kinds, reverse=True)

    def _find(self, root: Path, manifest: Path | None, workers: int, on_file: OnFile | None) -> Manifest:
        if manifest is not None:
            return Manifest.read(manifest, root)
        need = min_duration(self.views)
        return scan(root, require=self._streams, min_duration_s=need, workers=workers, on_file=on_file)

    def trainable(self, files: Manifest) -> Found:
        need = self._streams, min_duration(self.views)
        told = files.table.select(["id", "path"]).append_column("reason", files.statuses(*need))
        return Found(files.select(*need)[0], told.filter(pc.field("reason") != "ok").to_pylist())

    def view_names(self, files: Manifest | None = None) -> list[str]:
        return list(self.views)

    def train_set(self, files: Manifest, seed: int, clips_per_video: int) -> ClipDataset:
        open_row = self._opener(files)
        return ClipDataset(files, self.views, open_row, seed=seed, train=True, clips_per_video=clips_per_video)

    def embeddable(self, files: Manifest) -> Found:
        return self.trainable(files)

    def eval_set(self, files: Manifest, clips: int) -> ClipDataset:
        views = by_branch(self.views)
        open_row = self._opener(files)
        return ClipDataset(files, views, open_row, seed=0, train=False, clips_per_video=clips)

    def _opener(self, files: Manifest) -> Opener:
        return FileOpener(files, self.decoder)

    def query_set(self, file: Path, branch: str) -> ClipDataset:
        one = VideoFolder(None, {branch: by_branch(self.views)[branch]}, decoder=self.decoder)
        found = one.trainable(Manifest.of(file.parent, [facts := describe(file.parent, file.name)]))
        if found.left_out:
            reason = f"{found.left_out[0]['reason']} {facts['detail']}".strip()
            raise UserError(f"query={file}: {reason}; allowed: {one.need}")
        return one.eval_set(found.files, 1)


def default_views(size: int = 112) -> dict[str, View]:
    """The views of configs/data/folder.yaml: 8 frames at 16 fps of `size` pixels inside 2 s of sound, 64 mel bands."""
    from avssl.data.transforms.video import VideoEval, VideoTrain

    return {
        "video": VideoView(short_side=128, train=VideoTrain(size), eval=VideoEval(size)),
        "audio": AudioView(train=LogSpectrogram(n_mels=64, volume_jitter=0.1), eval=LogSpectrogram(n_mels=64)),
    }
