"""Cameras that look at the same thing at the same time: the pictures of an instance are its views."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from avssl.data.clips import VideoView
from avssl.data.draws import Drawn, Each
from avssl.data.images import default_view, good_shots, one_picture, one_view_each
from avssl.data.pictures import ImageView, PictureSet
from avssl.data.rig import scan_rig
from avssl.data.shot_scan import scan_instances, scan_listed
from avssl.data.shots import Shots
from avssl.data.source import Found, OnFile, Source
from avssl.functional.checks import check, check_choice
from avssl.types import UserError


class MultiCamera(Source):
    """Instances seen by several cameras.

    Pictures FOLDER/INSTANCE/CAMERA.png; with `period_s` videos FOLDER/CAMERA/FILE.mp4 whose instants, one each
    `period_s`, are the instances (`rig.scan_rig`: `tolerance_s`, `offsets_s`); or a manifest (Parquet or CSV) with the
    columns instance, camera, path and, for videos, time in s.

    With `views_per_instance` that many random cameras of an instance, drawn anew each time, are the views "image/0",
    "image/1", ... of the branch "image", as the one view of `views` is called. With null each camera is a view: of
    that one branch ("image/CAMERA") where `branches` is "shared", of its own ("CAMERA") where it is "per_camera".
    `cameras` are those to use, null for all. Instances with fewer than two cameras, or with null without all of them,
    are left out. UserError: a value that is not allowed.
    """

    UNSAVED: ClassVar = (*Source.UNSAVED, "size")
    default_batch_size = 64

    def __init__(
        self,
        root: Path | str | None = None,
        views: Mapping[str, ImageView | VideoView] | None = None,
        *,
        manifest: Path | str | None = None,
        views_per_instance: int | None = 2,
        branches: str = "shared",
        cameras: Sequence[str] | None = None,
        period_s: float | int | None = None,
        tolerance_s: float | int = 0.02,
        offsets_s: Mapping[str, float | int] | None = None,
        size: int = 64,
    ) -> None:
        views = {"image": default_view(size)} if views is None else views
        check("views", list(views), len(views) == 1 and "/" not in next(iter(views)), "one view, named as a branch")
        check_choice("branches", branches, ("shared", "per_camera"))
        count = views_per_instance
        check("views_per_instance", count, count is None or count >= 1, "1 and more, or null for a view per camera")
        own = branches == "shared" or views_per_instance is None
        check("branches", branches, own, "shared, unless views_per_instance=null")
        check("period_s", period_s, period_s is None or period_s >= 0.001, "0.001 s and more, or null")
        check("tolerance_s", tolerance_s, tolerance_s >= 0, "0 s and more")
        super().__init__(root, views, manifest, None)
        self.views_per_instance, self.branches = views_per_instance, branches
        self.cameras = None if cameras is None else [str(c) for c in cameras]
        self.period_s, self.tolerance_s, self.offsets_s = period_s, tolerance_s, dict(offsets_s or {})

    @property
    def per_camera(self) -> bool:
        return self.branches == "per_camera"

    @property
    def _branch(self) -> str:
        return next(iter(self.views))

    @property
    def _view(self) -> ImageView | VideoView:
        return self.views[self._branch]

    @property
    def need(self) -> str:
        return "instances of two cameras and more" if self.views_per_instance else "instances that all cameras see"

    def _find(self, root: Path, manifest: Path | None, workers: int, on_file: OnFile | None) -> Shots:
        if manifest is not None:
            return scan_listed(root, manifest, self.tolerance_s, workers, on_file)
        if self.period_s is None:
            return scan_instances(root, workers, on_file)
        return scan_rig(
            root,
            period_s=self.period_s,
            tolerance_s=self.tolerance_s,
            offsets_s=self.offsets_s,
            duration_s=self._view.duration_s,
            workers=workers,
            on_file=on_file,
        )

    def trainable(self, files: Shots) -> Found:
        shots, left_out = self._good(files)
        needed = set(self._names(shots)) if self.views_per_instance is None else set()
        least = 2 if self.views_per_instance is None else min(self.views_per_instance, 2)
        cameras, paths, keep = shots.column("camera"), shots.column("path"), [False] * len(shots)
        for instance, rows in shots.groups().items():
            lacks = sorted(needed - {cameras[row] for row in rows})
            if lacks or len(rows) < least:
                reason = f"without camera {lacks[0]}" if lacks else "one camera alone"
                left_out.append({"id": instance, "path": paths[rows[0]], "reason": reason})
            else:
                for row in rows:
                    keep[row] = True
        return Found(shots.where(keep), left_out)

    def view_names(self, files: Shots | None = None) -> list[str]:
        if self.views_per_instance is not None:
            return [f"{self._branch}/{n}" for n in range(self.views_per_instance)]
        if files is None:
            return []
        names = self._names(files)
        return names if self.per_camera else [f"{self._branch}/{name}" for name in names]

    def train_set(self, files: Shots, seed: int, clips_per_video: int) -> PictureSet:
        groups, names = files.groups(), self.view_names(files)
        rows = list(groups.values())
        if self.views_per_instance is None:
            choose: Any = Each(rows, names, self._view)
        else:
            choose = Drawn(list(groups), rows, names, self._view, seed)
        return PictureSet(files, choose, len(rows), seed=seed, train=True)

    def embeddable(self, files: Shots) -> Found:
        return self.trainable(files) if self.per_camera else self._good(files)

    def eval_set(self, files: Shots, clips: int) -> PictureSet:
        """A row per instance with a column per camera where each has its branch, else a row per instance and camera."""
        if not self.per_camera:
            return one_view_each(files, self.views, clips)
        check("clips", clips, clips == 1, "1 where the views are pictures")
        rows = list(files.groups().values())
        return PictureSet(files, Each(rows, self.view_names(files), self._view), len(rows), seed=0, train=False)

    def query_set(self, file: Path, branch: str) -> PictureSet:
        return one_picture(file, {branch: self._view})

    def _good(self, files: Shots) -> Found:
        """The readable shots of the cameras to use."""
        if self.cameras is not None:
            if unknown := sorted(set(self.cameras) - set(files.column("camera"))):
                known = ", ".join(sorted(set(files.column("camera"))))
                raise UserError(f"cameras: no camera {unknown[0]}; allowed: {known}")
            files = files.where([camera in self.cameras for camera in files.column("camera")])
        return good_shots(files)

    def _names(self, shots: Shots) -> list[str]:
        names = sorted(set(shots.column("camera")))
        if self.per_camera and (odd := [name for name in names if not re.fullmatch(r"[\w-]+", name)]):
            raise UserError(f"camera {odd[0]!r} cannot name a branch; allowed: letters, digits, _ and -")
        return names
