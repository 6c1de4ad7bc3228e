"""The files and folders that a command is given: what kind each of them has to be, and whether it is there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avssl.errors import UserError

FOLDER, FILE, RUN, EMBEDDINGS, OUT_FOLDER, OUT_FILE = "folder", "file", "run", "embeddings", "out folder", "out file"
WRITTEN = (OUT_FOLDER, OUT_FILE)
MEANT = {
    FOLDER: "a folder of media files",
    FILE: "a file",
    RUN: "a run, a checkpoint or an exported model",
    EMBEDDINGS: "a folder that avssl-embed wrote",
}


@dataclass(frozen=True)
class PathKey:
    """A key of the config whose value is a path.

    Of what is read, one with a `name` can be given by its place on the command line; the name is what usage calls it.
    """

    key: str
    kind: str
    name: str = ""
    many: bool = False  # a list of paths
    instead: tuple[str, ...] = ()  # keys one of which will do in its place
    file_key: str = ""  # of a folder: the key that is meant where its place holds a file
    optional: bool = False

    @property
    def written(self) -> bool:
        return self.kind in WRITTEN


def expanded(text: str) -> str:
    """A path without `~`, unless something of that very name is here."""
    if not text.startswith("~"):
        return text
    home = os.path.expanduser(text)  # noqa: PTH111  # pathlib raises where there is no such user
    if home != text and (os.path.lexists(home) or not os.path.lexists(text)):
        return home
    return f"./{text}"


def is_there(text: str) -> bool:
    """Whether a file or folder of this name exists, `~` expanded or not; names that no system allows do not."""
    try:
        return text != "" and os.path.lexists(expanded(text))
    except ValueError:
        return False


def is_url(text: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:/", text) is not None


def check_path(path: PathKey, text: str) -> None:
    """Raise UserError, before anything heavy is imported, where something else or nothing is at the path."""
    if path.written:
        return
    file = Path(expanded(text.removeprefix("official:") if path.kind == RUN else text))
    if not file.exists():
        if (path.kind == FOLDER and is_url(text)) or (path.kind == RUN and _may_be_on_the_hub(text)):
            return
        what = {FOLDER: "such folder", FILE: "such file", RUN: "such run", EMBEDDINGS: "finished embeddings"}[path.kind]
        raise UserError(f"{path.key}={text}: no {what}; allowed: {MEANT[path.kind]}")
    if problem := _problem(path, file):
        raise UserError(f"{path.key}={text}: {problem}; allowed: {MEANT[path.kind]}")


def _problem(path: PathKey, file: Path) -> str | None:
    found = kind_of(file)
    if path.kind == FOLDER and file.is_file():
        return "it is a file"
    if path.kind == FOLDER and found in (RUN, EMBEDDINGS):
        return f"it is {MEANT[found]}"
    if path.kind == FILE and file.is_dir():
        return "it is a folder"
    if path.kind == EMBEDDINGS and found != EMBEDDINGS:
        return "it is a file" if file.is_file() else "no finished embeddings are in it"
    if path.kind == RUN and file.is_dir() and found != RUN:
        return f"it is {MEANT[EMBEDDINGS]}" if found == EMBEDDINGS else "no checkpoint is in it"
    return None


def kind_of(folder: Path) -> str | None:
    """Whether a folder is a run (a checkpoint and an export are, too) or embeddings, by the names in it."""

    def holds(*names: str) -> bool:
        return all((folder / name).exists() for name in names)

    if holds("last.pt") or holds("checkpoints") or holds("config.json", "model.safetensors"):
        return RUN
    if holds("embeddings.parquet", "card.json"):
        return EMBEDDINGS
    return None


def _may_be_on_the_hub(text: str) -> bool:
    """A name as USER/NAME, where USER is no folder here."""
    return re.fullmatch(r"\w[\w.-]*/[\w.-]+", text) is not None and not is_there(text.partition("/")[0])


def check_needed(paths: tuple[PathKey, ...], values: Mapping[str, object], usage: str) -> None:
    """Raise UserError for a path that is missing; `values` holds None for null and for what was not given."""
    for path in paths:
        others = [path.key, *filter(None, [path.file_key]), *path.instead]
        needed = (path.name or path.written) and not path.optional
        if needed and not any(values.get(key) for key in others):
            instead = "".join(f", or {key}=..." for key in others[1:] if not path.written)
            raise UserError(f"{path.key} is missing: {usage}{instead}")
