"""The YAML files in configs/: where they are and what can be chosen among them, without hydra."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_PACKAGED = Path(__file__).parents[1] / "configs"
CONFIGS = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "configs"


def choices(group: str, folders: Sequence[Path] = (CONFIGS,)) -> list[str]:
    """The files of a group in any of the folders, those in subfolders as "paper/cma_kinetics"; [] of no group."""
    found = {
        path.relative_to(folder / group).with_suffix("").as_posix()
        for folder in folders
        for path in (folder / group).glob("**/*.yaml")
        if path.parent.name != "base"  # parts of others
    }
    return sorted(found, key=lambda name: ("/" in name, name))


def near(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The names that a word most likely stands for: typed wrong, or a part of them."""
    known = list(known)
    if close := difflib.get_close_matches(word, known, 1, 0.8):
        return close
    inside = [name for name in known if word in re.split(r"[/_.]", name)]
    if inside:
        return sorted(inside, key=len)[:most]
    return difflib.get_close_matches(word, known, 1, 0.6)


def near_key(word: str, known: Iterable[str]) -> list[str]:
    """`near` of a dotted key: typed wrong, or without what stands before its last part."""
    known = list(known)
    if close := difflib.get_close_matches(word, known, 1, 0.88):
        return close
    leaves: dict[str, list[str]] = {}
    for key in sorted(known, key=lambda key: (key.count("."), len(key))):
        leaves.setdefault(key.rpartition(".")[2], []).append(key)
    leaf = word.rpartition(".")[2]
    if leaf in leaves:
        same = leaves[leaf]
        shallow = [key for key in same if key.count(".") == same[0].count(".")]
        return difflib.get_close_matches(word, shallow, 3, 0.0)
    if close := difflib.get_close_matches(word, known, 1, 0.8):
        return close
    if close := difflib.get_close_matches(leaf, leaves, 1, 0.7):
        return leaves[close[0]][:1]
    return [key for key in known if leaf in key.rpartition(".")[2].split("_")][:2]


def did_you_mean(names: Sequence[str]) -> str:
    """The end of a sentence: ", did you mean a, b or c?"."""
    if not names:
        return ""
    *others, last = names
    return f", did you mean {', '.join(others)} or {last}?" if others else f", did you mean {last}?"
