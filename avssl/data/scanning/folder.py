"""Which files of a folder are media files."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

EXTENSIONS = {
    *("3g2", "3gp", "asf", "avi", "f4v", "flv", "gif", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
    *("mxf", "ogv", "ts", "vob", "webm", "wmv", "aac", "ac3", "aif", "aiff", "amr", "au", "caf", "flac", "m4a", "mka"),
    *("mp2", "mp3", "oga", "ogg", "opus", "wav", "wma", "wv"),
}


def media_files(root: Path, extensions: Collection[str] = EXTENSIONS) -> Iterator[str]:
    """Posix paths, relative to the root, of the files with one of the extensions; hidden ones are left out.

    Links to folders are followed, but no folder is entered twice. Folders that cannot be listed are told to the log.
    """
    entered: set[tuple[int, int]] = set()
    closed: list[str] = []
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=lambda error: closed.append(_told(error))):
        status = os.stat(folder)  # noqa: PTH116  # a million paths need no objects
        if (status.st_dev, status.st_ino) in entered:
            subfolders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        prefix = "" if Path(folder) == root else f"{Path(folder).relative_to(root).as_posix()}/"
        for name in names:
            stem, dot, extension = name.rpartition(".")
            if stem and dot and not name.startswith(".") and extension.lower() in extensions:
                path = os.path.join(folder, name)  # noqa: PTH118
                if os.path.isfile(path) or os.path.islink(path):  # noqa: PTH113, PTH114  # neither pipes nor sockets
                    yield prefix + name
    if closed:
        log.warning(
            "folders that cannot be listed, %d: their files are not scanned: %s", len(closed), "; ".join(closed[:5])
        )


def _told(error: OSError) -> str:
    return f"{error.filename} ({error.strerror})"
