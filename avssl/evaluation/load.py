"""`avssl.load`: a trained model from wherever it lies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from avssl.data.source import Source
from avssl.data.spec import build_source
from avssl.data.transforms.audio import LogSpectrogram
from avssl.errors import UserError
from avssl.evaluation.model import Model
from avssl.models.joint import Encoders
from avssl.models.locate import local, locate, trained_ids
from avssl.models.official import LICENCE, TERMS, is_official, load_official
from avssl.models.pretrained import CONFIG, read_model
from avssl.specs import Trust

PUBLISHED_MEAN_DB, PUBLISHED_STD_DB = -28.5, 19.7
"""About what the published spectrograms have, over all bands: their own statistics are in no published file."""


def load(
    place: str | PathLike[str],
    *,
    trust: Trust = False,
    device: torch.device | str = "cpu",
    branches: Encoders | None = None,
    views: Source | Mapping[str, Any] | None = None,
) -> Model:
    """The model of a run, of a checkpoint, of an exported folder, or "USER/NAME" of the Hugging Face Hub.

    Nothing in the files is run. With `trust` the classes of others that config.json names are imported, and named in
    the log: all of them with True, or those of the given names, as "my_encoder.MyEncoder". Their modules have to be on
    Python's path; loading adds no folder to it, neither the model's nor the working one. `branches`: modules of your
    own to fill, and `views`: a source or views by name, where a checkpoint could not describe them.
    A file .pth.tar is taken for a checkpoint as published for AVID and AVID-CMA (licence CC BY-NC 4.0, not for
    commercial use), whose spectrograms are normalized by one mean and standard deviation here.
    UserError: no model, another format, changed bytes, an unknown name, code of others where there is no trust.

    >>> import avssl
    >>> from avssl.data import ImageFolder
    >>> from avssl.models import build_branches
    >>> model = avssl.Model(build_branches({"image": "torchvision/resnet18"}, dim=8), ImageFolder(size=32))
    >>> folder = model.save_pretrained("export")
    >>> avssl.load("export")
    Model on cpu, weights ...
      image: TorchvisionEncoder, image -> 8
    """
    file = local(place)
    if is_official(file):
        return published(file).to(device)
    folder = locate(place)
    exported = read_model(folder, trust, branches)
    try:
        source = views or build_source(exported.data, trust)
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from error
    about = {"checkpoint": str(file.resolve() if file.exists() else place)}
    about["objective"] = str(exported.notes.get("name", ""))
    root = exported.notes.get("root")
    trained_on = None
    if isinstance(root, str) and Path(root).is_absolute():
        trained_on = Path(root), partial(trained_ids, folder)
    try:
        return Model(exported.branches, source, about=about, notes=exported.notes, trained_on=trained_on).to(device)
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from error


def published(file: Path) -> Model:
    """A published AVID or AVID-CMA checkpoint with the views of its paper."""
    found = load_official(file, bands_first=True)
    about = {"checkpoint": str(file.resolve()), "objective": "avid"}
    return Model(found.branches, published_views(), about=about, notes={"name": "avid", LICENCE: TERMS})


def published_views() -> dict[str, Any]:
    """0.5 s of 224 pixels at 16 fps, 2 s of sound at 24 kHz in 257 linear bands (arXiv 2004.12943)."""
    from avssl.data.clips import AudioView, VideoView
    from avssl.data.transforms.video import VideoEval

    mean, std = [PUBLISHED_MEAN_DB] * 257, [PUBLISHED_STD_DB] * 257
    return {
        "video": VideoView(short_side=256, eval=VideoEval(224, resize=256)),
        "audio": AudioView(eval=LogSpectrogram(mean=mean, std=std)),
    }
