"""What the commands do, as functions of as few words: `avssl.train`, `avssl.embed`, `avssl.pack`.

`avssl.fit`, `avssl.load`, `avssl.retrieval`, `avssl.build_index` and `avssl.scan` are the library's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import check
from avssl.specs import Trust

if TYPE_CHECKING:
    from avssl.data.manifest import Manifest
    from avssl.evaluation.embeddings import Embeddings
    from avssl.evaluation.model import Model
    from avssl.training.run import Run

Place = str | PathLike[str]


def train(
    root: Place | None = None,
    *,
    objective: str | None = None,
    out: Place | None = None,
    init: Place | None = None,
    minutes: float | int | None = None,
    epochs: int | None = None,
    resume: str = "never",
    overrides: Sequence[str] = (),
) -> Run:
    """Train on a folder of videos or pictures; the same as `avssl-train ROOT objective=... out=...`.

    root: the folder; None: that of the run `init`. objective: a file of configs/objective ("avid", "er", "byol", ...),
    AVID where None, or "my_loss.MyLoss", a class that can be imported. out: the run's folder; None: runs/OBJECTIVE.
    minutes: train for so long, or for `epochs`. resume: "auto" goes on with the run in `out`.
    overrides: any other key of the config, as on the command line: ["data.size=64", "branches=tiny"].
    UserError: a key, value or folder that is not allowed. An own objective object: see `avssl.fit`.

    >>> import avssl
    >>> small = ["branches=tiny", "data.size=32", "data.workers=0"]
    >>> run = avssl.train("videos", objective="er", out="runs/er", epochs=1, overrides=small)
    videos: 24 usable, 0 left out
    ...
    >>> run.finished, round(run.metrics[-1]["epoch"])
    (True, 1)
    """
    from avssl.cli.compose import compose
    from avssl.cli.keys import in_keys_of
    from avssl.cli.quoting import quoted
    from avssl.cli.training import train as train_config
    from avssl.data.workers import check_not_in_worker

    check_not_in_worker("avssl.train")
    check("overrides", overrides, not isinstance(overrides, str), 'a list, as ["data.size=64"]')
    places = {"data.root": root, "out": out, "init": init}
    words = [f"{key}={quoted(fspath(place))}" for key, place in places.items() if place is not None]
    words += [] if objective is None else [f"objective={objective}"]
    numbers = {"trainer.minutes": minutes, "trainer.epochs": epochs, "resume": resume}
    words += [f"{key}={value}" for key, value in numbers.items() if value is not None]
    config = compose("train", [*words, *overrides])
    if root is None and init is None:
        check("root", root, config.data.get("root", None) is not None, "a folder, or init=RUN for that run's")
    with in_keys_of(config):
        return train_config(config)


def embed(model: Model | Place, root: Place, out: Place, *, trust: Trust = False, **settings: Any) -> Embeddings:
    """Embed every clip of a folder; the same as `avssl-embed MODEL ROOT out=OUT`.

    model: what `avssl.load` gives, or takes. settings: those of `avssl.evaluation.embed.embed_folder` (batch_size=,
    workers=, manifest=, split=, views=, clips=, label_pattern=, timeout_s=).
    A stopped embedding goes on where it was, a finished one is read. UserError: see there.

    >>> import avssl
    >>> from avssl.data import VideoFolder
    >>> from avssl.models import build_branches
    >>> tiny = {"video": {"name": "r2plus1d", "depth": 10, "width": 2}, "audio": {"name": "conv2d10", "width": 2}}
    >>> model = avssl.Model(build_branches(tiny, dim=8), VideoFolder(size=32))
    >>> table = avssl.embed(model, "videos", out="emb", workers=0)
    >>> table["audio"].shape, table.paths[0], table.labels[0]
    ((24, 8), 'clover/clover_00004.mp4', 'clover')
    """
    from avssl.evaluation.embed import embed_folder
    from avssl.evaluation.load import load
    from avssl.evaluation.model import Model as Loaded

    loaded = model if isinstance(model, Loaded) else load(model, trust=trust)
    return embed_folder(loaded, Path(root), Path(out), **settings)


def pack(files: Manifest | Place, out: Place, *, format: str = "mp4", workers: int = 0, **settings: Any) -> Manifest:
    """Pack a folder's usable files at one small size, quick to read; as `avssl-prep pack FILES out=OUT`.

    files: what `avssl.scan` gives, a manifest's file, or a folder, which is scanned. format: "mp4", "shards", "memmap".
    settings: size=, fps=, rate_hz=, quality=, crf=, gop=, shard_mb= of `avssl.data.pack.settings.Settings`.
    UserError: no usable file, a setting that is not allowed, another pack in `out`.

    >>> import avssl
    >>> packed = avssl.pack("videos", out="packed", size=32, fps=8)
    >>> len(packed), packed.paths[0]
    (24, 'clover/clover_00004.mp4')
    """
    from avssl.data.manifest import Manifest as Table
    from avssl.data.pack.run import pack as pack_files
    from avssl.data.pack.settings import Settings
    from avssl.data.scan import scan

    chosen = Settings(format=format, **settings)
    if not isinstance(files, Table):
        place = Path(files).expanduser()
        files = scan(place, workers=workers) if place.is_dir() else Table.read(place)
    usable, left_out = files.select(min_duration_s=0.5)
    check("files", str(files.root), len(usable) > 0, f"some with usable files; it has {dict(left_out)}")
    return pack_files(usable, Path(out).expanduser(), chosen, workers=workers).manifest
