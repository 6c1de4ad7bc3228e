"""A folder of pictures as a data set: each an instance, its views augmentations or crops of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from avssl.data.clips import VideoView
from avssl.data.pictures import ImageView, PictureSet, Take
from avssl.data.shot_scan import look, row_of, scan_pictures
from avssl.data.shots import Shots
from avssl.data.source import Found, OnFile, Source, by_branch
from avssl.data.stream.samples import ClipKey
from avssl.functional.checks import check
from avssl.types import UserError


@dataclass(frozen=True)
class _Same:
    """All views of the shot in the key's row."""

    views: Mapping[str, ImageView | VideoView]

    def __call__(self, key: ClipKey) -> list[Take]:
        return [Take(name, view, key.row) for name, view in self.views.items()]


class ImageFolder(Source):
    """FOLDER/LABEL/NAME.png, or a manifest (Parquet or CSV) with the columns path and, if known, label.

    `views` are ImageViews by name; None: two random crops of `size` pixels, augmented as in SimCLR.
    """

    UNSAVED: ClassVar = (*Source.UNSAVED, "size")

    def __init__(
        self,
        root: Path | str | None = None,
        views: Mapping[str, ImageView] | None = None,
        *,
        manifest: Path | str | None = None,
        size: int = 64,
    ) -> None:
        two = {f"image/{n}": default_view(size) for n in range(2)} if views is None else views
        super().__init__(root, two, manifest, None)

    @property
    def default_batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """128, or 64 where each picture has several crops."""
        return 128 if len(self.views) <= 2 else 64

    @property
    def need(self) -> str:
        return "pictures (png, jpg, webp)"

    def _find(self, root: Path, manifest: Path | None, workers: int, on_file: OnFile | None) -> Shots:
        return scan_pictures(root, manifest, workers, on_file)

    def trainable(self, files: Shots) -> Found:
        return good_shots(files)

    def view_names(self, files: Shots | None = None) -> list[str]:
        return list(self.views)

    def train_set(self, files: Shots, seed: int, clips_per_video: int) -> PictureSet:
        return PictureSet(files, _Same(self.views), len(files), seed=seed, train=True)

    def embeddable(self, files: Shots) -> Found:
        return good_shots(files)

    def eval_set(self, files: Shots, clips: int) -> PictureSet:
        return one_view_each(files, by_branch(self.views), clips)

    def query_set(self, file: Path, branch: str) -> PictureSet:
        return one_picture(file, {branch: by_branch(self.views)[branch]})


def default_view(size: int = 64) -> ImageView:
    """A random crop with SimCLR's changes of color in training, the picture's middle at evaluation."""
    from avssl.data.transforms.image import ImageEval, ImageTrain

    return ImageView(train=ImageTrain(size, area=(0.2, 1.0)), eval=ImageEval(size))


def good_shots(files: Shots) -> Found:
    """The shots that can be read, and why the others cannot."""
    good = [status == "ok" for status in files.column("status")]
    left_out = [
        {"id": row["instance"], "path": row["path"], "reason": f"{row['status']}: {row['detail']}"}
        for row in files.table.to_pylist()
        if row["status"] != "ok"
    ]
    return Found(files.where(good), left_out)


def one_view_each(files: Shots, views: Mapping[str, ImageView | VideoView], clips: int) -> PictureSet:
    """Every shot as a row, for evaluation."""
    check("clips", clips, clips == 1, "1 where the views are pictures")
    return PictureSet(files, _Same(views), len(files), seed=0, train=False)


def one_picture(file: Path, views: Mapping[str, ImageView | VideoView]) -> PictureSet:
    """A set of one picture file. Raises UserError where it cannot be read."""
    facts = look(file.parent, file.name)
    if facts.status != "ok" or facts.times_s is not None:
        raise UserError(f"query={file}: {facts.detail or 'a video'}; allowed: a picture (png, jpg, webp)")
    shots = Shots.of(file.parent, [row_of(file.name, facts, file.name, "", "")])
    return one_view_each(shots, views, 1)
