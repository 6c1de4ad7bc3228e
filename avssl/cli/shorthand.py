"""Short forms of overrides: one's own class as objective or encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from avssl.cli.arguments import OVERRIDE
from avssl.cli.configs import choices
from avssl.cli.quoting import parsed

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def written_out(overrides: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Overrides that hydra does as they are meant.

    `objective=my_loss.MyLoss` is `objective=custom objective._target_=my_loss.MyLoss`, where no file has that name;
    `branches.video=NAME` is `branches.video.encoder=NAME`; `branches.video.encoder={name: NAME, ...}` replaces what is
    there, where hydra would put the two together.
    """
    words = list[str]()
    for word in overrides:
        given = OVERRIDE.fullmatch(word)
        key, value = (given["key"], given["value"]) if given else ("", "")
        if key == "objective" and DOTTED.fullmatch(value) and value not in choices("objective", folders):
            words += [f"{key}=custom", f"{key}._target_={value}"]
        elif given and re.fullmatch(r"branches\.[A-Za-z]\w*", key) and _is_name(word):
            words.append(f"{given['mark']}{key}.encoder={value}")
        elif given and not given["mark"] and re.fullmatch(r"branches\.[A-Za-z]\w*\.encoder", key) and _is_spec(word):
            words += [f"~{key}", f"+{key}={value}"]
        else:
            words.append(word)
    return words


def _is_spec(word: str) -> bool:
    meant = parsed(word)
    return meant is not None and isinstance(meant.value(), dict) and "name" in meant.value()


def _is_name(word: str) -> bool:
    meant = parsed(word)
    return meant is not None and isinstance(meant.value(), str)
