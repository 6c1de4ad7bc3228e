"""The files that a task of avssl-prep looks at."""

from __future__ import annotations

from omegaconf import DictConfig

from avssl.cli.training import make_source
from avssl.console import progress
from avssl.data.manifest import Manifest
from avssl.data.source import Found, Source
from avssl.errors import UserError
from avssl.training.display import report_usable


def usable_files(config: DictConfig) -> tuple[Source, Found]:
    """The data set of `root`, or of `manifest` and the folder written in it, and what can be used of it.

    How many they are is printed. Raises UserError where there are none.
    """
    source = make_source(config.data)
    if source.root is None:
        if source.manifest is None:
            raise UserError("root is missing: give root=FOLDER, or manifest=FILE from avssl-prep scan")
        source = source.at(Manifest.read(source.manifest).root, source.manifest, source.split)
    with progress(f"scanning {source.root.name if source.root else ''}") as on_file:
        found = source.trainable(source.find(config.data.workers, on_file))
    report_usable(source, found.files.root, found, len(found.files.ids))
    return source, found
