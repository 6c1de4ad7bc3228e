"""Bytes of a pack's files, from a local folder or from wherever fsspec reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from avssl.data.decode.media import DecodeError
from avssl.data.pack.names import inside
from avssl.data.paths import check_below
from avssl.types import UserError

OPEN_FILES = 64


def url_of(root: Path) -> str | None:
    """The URL that became a path on its way through a config ("s3:/bucket/x" of "s3://bucket/x"); None of a folder."""
    text = str(root)
    if not re.match(r"[a-z][a-z0-9+.-]*:/", text):
        return None
    text = re.sub(r"(^|::)([a-z][a-z0-9+.-]*):/+", r"\1\2://", text)
    return re.sub(r"(^|::)(file|local)://", r"\1\2:///", text)


class Store:
    """Files below a folder or a URL, by their names. Picklable; each process opens its own, and keeps a few open."""

    def __init__(self, root: Path) -> None:
        self.root, self._url = root, url_of(root)
        self._opened = lru_cache(OPEN_FILES)(self._open)
        self._system: tuple[Any, str] | None = None

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.root,)

    def check(self, source: str, names: Iterable[str]) -> None:
        """Raise UserError where a name leads out of the root; `source` tells the names."""
        names = set(names)
        check_below(f"{self._url or self.root}/{source}", names)
        if self._url is None:
            for name in names:
                inside(self.root, name)

    def whole(self, name: str) -> bytes:
        """A file's content. Raises UserError where it cannot be read."""
        try:
            if self._url is None:
                return (self.root / name).read_bytes()
            system, folder = self._remote()
            return system.cat_file(f"{folder}/{name}")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UserError(f"{self._url or self.root}/{name}: {reason}; allowed: a pack of avssl-prep pack") from error

    def read(self, name: str, start: int, stop: int) -> UInt8[np.ndarray, " n"]:
        """The bytes [start, stop) of a file: of a local one its own pages, not to be written to. Raises DecodeError."""
        try:
            if self._url is None:
                data = self._opened(name)[start:stop]
            else:
                system, folder = self._remote()
                data = np.frombuffer(bytearray(system.cat_file(f"{folder}/{name}", start, stop)), np.uint8)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise DecodeError(self.root / name, getattr(error, "strerror", None) or str(error)) from error
        if len(data) != stop - start:
            raise DecodeError(self.root / name, f"truncated: no bytes {start} to {stop}")
        return data

    def _open(self, name: str) -> UInt8[np.ndarray, " n"]:
        # Copy on write: torch warns of arrays that it must not write to.
        return np.memmap(self.root / name, np.uint8, "c").view(np.ndarray)

    def _remote(self) -> tuple[Any, str]:
        """The file system, and the root's path in it. Raises UserError where fsspec is not installed."""
        if self._system is None:
            try:
                import fsspec
            except ImportError as error:
                raise UserError(f"{self._url} needs the extra: pip install 'avssl[remote]'") from error
            try:
                self._system = fsspec.core.url_to_fs(self._url)
            except (ValueError, ImportError) as error:
                raise UserError(f"root={self._url}: {str(error).splitlines()[0]}") from error
        return self._system
