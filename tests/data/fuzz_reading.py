"""What the processes of the hostile tests do and weigh."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from avssl.data.decode.image import read_image
from avssl.data.decode.image_header import picture_size
from avssl.data.decode.media import DecodeError
from avssl.data.decode.media_probe import probe
from avssl.data.decode.pyav import Reader


def read_clips(path: Path) -> str:
    """Pictures and sound at the start, in the middle and at the end, as training would; how it ended, in words."""
    try:
        info = probe(path)
        reader = Reader(path)
    except DecodeError as error:
        return error.reason
    ended = "read"
    with reader:
        for start_s in (0.0, info.duration_s / 2, info.duration_s - 0.2):
            try:
                if info.has_video:
                    frames = reader.frames([start_s + i / 16 for i in range(4)], 16)
                    assert frames.shape[:2] == (4, 3), frames.shape
                    assert min(frames.shape[2:]) <= 16, frames.shape
                if info.has_audio:
                    assert reader.audio(start_s, 0.3, 16_000).shape == (1, 4800)
            except DecodeError as error:
                ended = error.reason
    return ended


def read_picture(path: Path) -> str:
    """The picture, whose size must be the one that its header claims; how it ended, in words."""
    try:
        picture = read_image(path)
    except DecodeError as error:
        return error.reason
    assert sorted(picture.shape[1:]) == sorted(picture_size(path.read_bytes()))
    return "read"


class Memory:
    """While it is entered: how many MiB this process grew by at most, and the largest of those below it."""

    def __init__(self) -> None:
        self.grown = self.largest_child = 0
        self._first, self._stop = _resident(Path("/proc/self"), "VmRSS"), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.grown = max(self.grown, _resident(Path("/proc/self"), "VmRSS") - self._first)
            for folder in _below(Path("/proc/self").resolve().name):
                self.largest_child = max(self.largest_child, _resident(folder, "VmHWM"))


def _below(process: str) -> list[Path]:
    """All processes that this one started, and those that they started."""
    parents = {folder.name: _status(folder).get("PPid", "") for folder in Path("/proc").glob("[0-9]*")}
    found = {process}
    while more := {name for name, parent in parents.items() if parent in found} - found:
        found |= more
    return [Path("/proc", name) for name in found - {process}]


def _resident(folder: Path, field: str) -> int:
    return int(_status(folder).get(field, "0 kB").split()[0]) // 1024


def _status(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "status").read_text().splitlines()
    except OSError:  # it has ended
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
