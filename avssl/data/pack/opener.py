"""From rows of a pack's manifest to readers of what is packed."""

from __future__ import annotations

from collections import OrderedDict
from types import TracebackType

from avssl.data.clips import Opener
from avssl.data.decode.backend import Reader
from avssl.data.decode.media import DecodeError
from avssl.data.decode.readers import open_reader
from avssl.data.manifest import Manifest
from avssl.data.pack.index import Index
from avssl.data.pack.names import inside
from avssl.data.pack.readers import PackReader
from avssl.data.pack.settings import CARD, MANIFEST, MP4, Settings, read_card
from avssl.data.pack.store import Store, url_of
from avssl.data.paths import check_below
from avssl.types import UserError

OPEN_FILES = 32


def pack_opener(manifest: Manifest, decoder: str = "av") -> Opener:
    """Opens the instances of a pack's manifest, mp4 files with `decoder`. UserError: a pack that cannot be trusted."""
    store = Store(manifest.root)
    settings = card_of(store)
    return Mp4Opener(manifest, decoder) if settings.format == MP4 else ArrayOpener(store, settings, manifest.ids)


def card_of(store: Store) -> Settings:
    return read_card(store.whole(CARD), f"{store.root}/{CARD}")


class Mp4Opener:
    """Files of an mp4 pack; each process keeps the last few open. Raises UserError for names that lead out of it."""

    def __init__(self, manifest: Manifest, decoder: str) -> None:
        if url := url_of(manifest.root):
            raise UserError(f"root={url}: a pack of mp4; allowed: one of shards or memmap, or a local folder")
        self._root, self._paths, self._decoder = manifest.root, manifest.paths, decoder
        check_below(manifest.root / MANIFEST, self._paths)
        self._open: OrderedDict[int, Reader] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": OrderedDict()}

    def __call__(self, row: int) -> Reader:
        reader = self._open.pop(row, None) or open_reader(inside(self._root, self._paths[row]), self._decoder)
        return _Kept(reader, row, self._open)


class _Kept:
    """A reader that stays open when it is done with, unless by an error."""

    def __init__(self, reader: Reader, row: int, kept: OrderedDict[int, Reader]) -> None:
        self.frames, self.audio = reader.frames, reader.audio
        self._reader, self._row, self._kept = reader, row, kept

    def __enter__(self) -> _Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or self._row in self._kept:
            self._reader.__exit__(kind, error, trace)
            return
        self._kept[self._row] = self._reader
        if len(self._kept) > OPEN_FILES:
            self._kept.popitem(last=False)[1].__exit__(None, None, None)


class ArrayOpener:
    """Instances of shards and arrays."""

    def __init__(self, store: Store, settings: Settings, ids: list[str]) -> None:
        self._store, self._settings, self._ids = store, settings, ids
        self._index: Index | None = Index(store, settings)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_index": None}  # each process reads it, rather than to be sent it

    def __call__(self, row: int) -> Reader:
        if self._index is None:
            self._index = Index(self._store, self._settings)
        try:
            entry = self._index[self._ids[row]]
        except KeyError as error:
            raise DecodeError(self._store.root / self._ids[row], "not in the pack's index") from error
        return PackReader(self._store, entry, self._settings)
