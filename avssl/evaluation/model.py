"""A trained model in use: files and arrays in, embeddings out."""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor, nn

from avssl.data.clip_files import VideoFolder
from avssl.data.decode.media import DecodeError
from avssl.data.images import ImageFolder
from avssl.data.source import Source, by_branch
from avssl.data.spec import source_spec
from avssl.errors import UserError, check, check_choice
from avssl.evaluation.embeddings import as_rows
from avssl.evaluation.inputs import STREAMS, Input, array_inputs, file_input, paths_of
from avssl.files import write_text
from avssl.models.branches import features_of
from avssl.models.joint import Encoders, JointBranches
from avssl.models.pretrained import CONFIG, WEIGHTS, save_model
from avssl.types import branch_of

T = TypeVar("T")
R = TypeVar("R")
LAYERS = ("embedding", "feature")
CARD = "README.md"


class Model:
    """Encoders, and the views that say how files and arrays become their input.

    `views` are by branch: those of a data set (a `Source`), which `embed_folder` then reads other folders as, or a
    dict. `about` holds JSON values for the cards of embeddings ("checkpoint", "objective"), `notes` those that an
    exported folder keeps, `trained_on` the folder and what gives the ids that the encoders were trained on.
    UserError: a view without branch, a branch without view.

    >>> from avssl.data.clips import AudioView
    >>> from avssl.data.transforms.audio import LogSpectrogram
    >>> from avssl.models.audio_conv import Conv2D10
    >>> from avssl.models.branches import Branches
    >>> spectrogram = LogSpectrogram(8000, n_fft=256, hop=80, bands=65)
    >>> view = AudioView(duration_s=1.0, rate_hz=8000, train=spectrogram, eval=spectrogram)
    >>> model = Model(Branches({"audio": Conv2D10(width=2)}), {"audio": view})
    >>> model
    Model on cpu, weights ...
      audio: Conv2D10, 1 s at 8000 Hz -> 16
    >>> z = model.embed(audio=[torch.randn(44_100), torch.randn(2, 88_200)], rate_hz=44_100)
    >>> z["audio"].shape
    torch.Size([2, 16])
    >>> model.similarity(z["audio"], z["audio"]).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        branches: Encoders,
        views: Source | Mapping[str, Any],
        *,
        about: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        trained_on: tuple[Path, Callable[[], Collection[str]]] | None = None,
    ) -> None:
        self.branches, self.about, self.trained_on = branches, dict(about or {}), trained_on
        self.notes = dict(notes or {})
        self.source = views if isinstance(views, Source) else None
        names = list(_modules(branches))
        found: dict[str, Any] = by_branch(views.views if isinstance(views, Source) else views)
        if len(found) == 1 and not set(found) & set(names):  # a branch per camera, all with the one view
            found = {name: view for view in found.values() for name in names}
        for name in names:
            check("views", list(found), name in found, f"one for each branch: {', '.join(names)}")
        for name in found:
            check("branches", names, branch_of(name) in names, f"one for each view: {', '.join(found)}")
        self._views: dict[str, Any] = {name: found[name] for name in names}

    @property
    def views(self) -> dict[str, Any]:
        """A `VideoView`, `AudioView` or `ImageView` by the name of its branch."""
        return dict(self._views)

    @cached_property
    def dims(self) -> dict[str, int]:
        """How many numbers an embedding has, by view."""
        blank = {name: view.eval(_blank(view))[None] for name, view in self._views.items()}
        return {name: z.shape[1] for name, z in self._encode(blank, "embedding").items()}

    @property
    def fingerprint(self) -> str:
        """16 hex digits of a hash of all weights and buffers."""
        return fingerprint(self.branches)

    @property
    def decoder(self) -> str:
        """What files are decoded with, one of `readers.DECODERS`."""
        return getattr(self.source, "decoder", "av")

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.branches.parameters()), torch.device("cpu"))

    def to(self, device: torch.device | str) -> Model:
        """Move the encoders. What `embed` gives is on the CPU all the same."""
        self.branches.to(device)
        return self

    def __repr__(self) -> str:
        lines = [f"Model on {self.device}, weights {self.fingerprint}"]
        for name, module in _modules(self.branches).items():
            lines.append(f"  {name}: {type(module).__name__}, {_spoken(self._views[name])} -> {self.dims[name]}")
        return "\n".join(lines)

    def embed(
        self,
        files: Any = None,
        *,
        audio: Any = None,
        rate_hz: Any = None,
        video: Any = None,
        fps: Any = None,
        image: Any = None,
        views: Sequence[str] | str | None = None,
        layer: str = "embedding",
        normalize: bool = True,
        batch_size: int = 32,
        workers: int = 0,
    ) -> dict[str, Float32[Tensor, "n _"]]:
        """Embeddings by view, on the CPU: a row for each file, or for each array, in their order.

        files: a path or a list of paths. Or arrays, numpy's or torch's, one or a list of them: `audio` [samples] or
        [channels samples] (int16, int32, or floats in [-1, 1]) at `rate_hz`; `video` uint8 [frames height width 3] or
        [frames 3 height width] at `fps`; `image` uint8 [height width 3] or [3 height width], a PIL image or a path.
        `rate_hz` and `fps` are a number, or a list of one for each array. Arrays are resampled, cut and resized as a
        file with that content is; `audio` and `video` together start at the same time.
        A view's window is the middle of the input, which must be as long. views: those to give; by default all of a
        file's, and those that the arrays are for. layer: "embedding" (unit length unless normalize=False), or
        "feature", what the encoder gives before the head, which is treated alike.
        A row is the same whatever is embedded beside it, up to the rounding of float32 sums (1e-5 of the unit length
        on a CPU). workers: threads that decode ahead of the encoders; 0 decodes in turn. Nothing is drawn at
        random, and no gradient flows.
        UserError: an argument that is not allowed; a file that cannot be read, lacks a stream, or is shorter than a
        view, the first of a list and how many of them.
        """
        check_choice("layer", layer, LAYERS)
        _check_count("batch_size", batch_size, 1)
        _check_count("workers", workers, 0)
        arrays = {name: x for name, x in zip(STREAMS, (video, audio, image), strict=True) if x is not None}
        if files is not None and arrays:
            raise UserError(f"files and {next(iter(arrays))}=: both are given; allowed: files, or arrays")
        if not arrays:
            check("rate_hz", rate_hz, rate_hz is None, "None without audio=")
            check("fps", fps, fps is None, "None without video=")
            chosen = self._chosen(views)
            inputs = _all_good(lambda path: file_input(path, chosen, self.decoder), paths_of(files), workers)
        else:
            chosen = self._chosen(views, list(arrays))
            inputs = array_inputs(arrays, rate_hz, fps, chosen)
        vectors = self._vectors(inputs, chosen, layer, batch_size, workers)
        return {name: F.normalize(x, dim=1) if normalize else x for name, x in vectors.items()}

    @staticmethod
    def similarity(a: Any, b: Any) -> Float32[Tensor, "n m"]:
        """Cosines of each row of `a` [n D] with each of `b` [m D]: tensors or arrays; one vector [D] is a row.

        UserError: rows of different length; a dict of views in place of one of them.
        """
        first = as_rows("a", a)
        return F.normalize(first, dim=1) @ F.normalize(as_rows("b", b, first.shape[1], "a"), dim=1).T

    def save_pretrained(self, folder: Path | str) -> Path:
        """Write the model as a folder of data, which `avssl.load` reads: config.json, model.safetensors, README.md.

        UserError: the folder holds something else; encoders that are no plain names.
        """
        folder = Path(folder).expanduser()
        others = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        strange = sorted(set(others) - {CONFIG, WEIGHTS, CARD})
        free = not folder.is_file() and not strange
        check("folder", str(folder), free, "a new or empty folder, or an exported model to replace")
        save_model(folder, self.branches, source_spec(self._exported_source()), _public(self.notes))
        write_text(folder / CARD, model_card(self))
        return folder

    def push_to_hub(self, name: str, *, private: bool = True, token: str | None = None) -> str:
        """Write the model to the Hugging Face Hub as USER/NAME, and return its address; private unless you say so."""
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            address = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(repo_id=name, folder_path=folder)
        return str(address)

    def _exported_source(self) -> Source:
        if self.source is not None:
            return self.source
        kind = ImageFolder if all(view.stream == "image" for view in self._views.values()) else VideoFolder
        return kind(None, self._views)

    def _chosen(self, views: Sequence[str] | str | None, given: Sequence[str] | None = None) -> dict[str, Any]:
        """The views asked for: of files by default all, of arrays all that read one of the streams `given`."""
        names = [views] if isinstance(views, str) else views
        if names is not None:
            ok = isinstance(names, Iterable) and len(names := list(names)) > 0 and set(names) <= set(self._views)
            check("views", views, ok, f"some of {', '.join(self._views)}")
        mine = self._views
        chosen: dict[str, Any] = {name: view for name, view in mine.items() if names is None or name in names}
        if given is None:
            return chosen
        if names is None:
            chosen = {name: view for name, view in chosen.items() if view.stream in given}
        for name, view in chosen.items():
            check("views", names, view.stream in given, f"views of what is given; {name} needs {view.stream}=")
        for stream in given:
            if stream not in (read := sorted({view.stream for view in chosen.values()})):
                known = read or sorted({view.stream for view in self._views.values()})
                raise UserError(f"{stream}=: no view reads it; allowed: {', '.join(f'{name}=' for name in known)}")
        return chosen

    def _vectors(
        self, inputs: Sequence[Input], views: Mapping[str, Any], layer: str, batch_size: int, workers: int
    ) -> dict[str, Float32[Tensor, "n _"]]:
        """A row for each input. Raises UserError where some cannot be read, or what comes out is not finite."""
        samples = _ahead(lambda item: _tried(lambda: item.read(views)), inputs, workers)
        names, rows, failed = iter(inputs), list[dict[str, Tensor]](), list[DecodeError]()
        while batch := list(islice(samples, batch_size)):
            failed += [sample for sample in batch if isinstance(sample, DecodeError)]
            if failed:
                continue  # the rest is read, for the message to count, but not encoded
            stacked = {name: torch.stack([sample[name] for sample in batch]) for name in views}  # pyright: ignore
            rows.append(self._encode(stacked, layer))
            _check_finite(rows[-1], [item.name for item in islice(names, len(batch))], layer)
        _refuse(failed, len(inputs))
        return {name: torch.cat([row[name] for row in rows]) for name in views}

    @torch.no_grad()
    def _encode(self, views: Mapping[str, Tensor], layer: str) -> dict[str, Tensor]:
        with evaluating(self.branches), torch.autocast(self.device.type, enabled=False):
            found = features_of(self.branches, {name: x.to(self.device) for name, x in views.items()})
            found = found if layer == "feature" else self.branches.project(found)
        return {name: x.float().cpu() for name, x in found.items()}


def model_card(model: Model) -> str:
    """README.md of an exported model, with the metadata that the Hub reads."""
    facts = "\n".join(f"* {key}: {value}" for key, value in _public(model.notes).items())
    return f"""---
library_name: avssl
tags: [audio-visual, self-supervised, embeddings]
---
# Encoders trained with avssl

```
{model}
```

```python
import avssl

model = avssl.load("USER/NAME")  # or the path of this folder
z = model.embed("clip.mp4")
```

{facts}

The licence is for whoever publishes the model to name, with that of its training data.
"""


def _public(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Without the places of the author's machine."""
    return {key: value for key, value in notes.items() if key not in ("root", "manifest") and value is not None}


def fingerprint(module: nn.Module) -> str:
    """16 hex digits of a hash of all weights and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, and afterwards as before; nothing is written where it is in that mode."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _modules(branches: Encoders) -> dict[str, nn.Module]:
    """The encoder of each branch."""
    if isinstance(branches, JointBranches):
        return dict(branches.encoders.items())
    return {name: branch.encoder for name, branch in branches.items()}  # pyright: ignore[reportReturnType]


def _spoken(view: Any) -> str:
    """How much of an input a view reads."""
    match view.stream:
        case "video":
            return f"{view.frames} frames at {view.fps:g} per s"
        case "audio":
            return f"{view.duration_s:g} s at {view.rate_hz} Hz"
    return "image"


def _blank(view: Any) -> Tensor:
    """Silence, or black."""
    side = view.short_side or 256 if view.stream != "audio" else 0
    match view.stream:
        case "video":
            return torch.zeros(view.frames, 3, side, side, dtype=torch.uint8)
        case "audio":
            return torch.zeros(1, round(view.duration_s * view.rate_hz))
    return torch.zeros(3, side, side, dtype=torch.uint8)


def _check_count(name: str, value: Any, least: int) -> None:
    check(name, value, isinstance(value, int) and not isinstance(value, bool) and value >= least, f"{least} and more")


def _check_finite(vectors: Mapping[str, Tensor], names: Sequence[str], layer: str) -> None:
    for view, x in vectors.items():
        if not (finite := x.isfinite().all(1)).all():
            raise UserError(f"{names[int(finite.int().argmin())]}: the model's {layer} of its {view} is not finite")


def _ahead(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """`map`, in order; with threads that work ahead by a few items each."""
    if workers == 0:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque[Any]()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _tried(function: Callable[[], R]) -> R | DecodeError:
    try:
        return function()
    except DecodeError as error:
        return error


def _all_good(function: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    found = list(_ahead(lambda item: _tried(lambda: function(item)), items, workers))
    _refuse([result for result in found if isinstance(result, DecodeError)], len(items))
    return found  # pyright: ignore[reportReturnType]


def _refuse(failed: Sequence[DecodeError], total: int) -> None:
    if failed:
        more = f" ({len(failed)} of {total} files cannot be embedded)" if total > 1 else ""
        raise UserError(f"{failed[0]}{more}")
