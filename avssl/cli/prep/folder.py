"""The files that a task of avssl-prep looks at."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from avssl.cli.assemble import find_files, make_source, report_usable
from avssl.data.manifest import Manifest
from avssl.data.source import Found, Source
from avssl.types import UserError


def usable_files(config: DictConfig) -> tuple[Source, Found]:
    """The data set of `root`, or of `manifest` and the folder written in it, and what can be used of it.

    How many they are is printed. Raises UserError where there are none.
    """
    if config.root is None:
        if config.manifest is None:
            raise UserError("root is missing: give root=FOLDER, or manifest=FILE from avssl-prep scan")
        config.root = str(Manifest.read(Path(config.manifest).expanduser()).root)
    source = make_source(config.data)
    found = source.trainable(find_files(source, config.data))
    report_usable(source, found.files.root, found, len(found.files.ids))
    return source, found
