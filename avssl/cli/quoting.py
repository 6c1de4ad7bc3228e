"""Strings in hydra's override grammar: any text so that it arrives as it is."""

from __future__ import annotations

import re
from typing import Any

PLAIN = re.compile(r"(?!(true|false|null|inf|nan|[\d_.eE+-]+)$)[A-Za-z_/][\w/.@%+-]*", re.ASCII | re.IGNORECASE)
"""What hydra reads as the string that it is: a path or a word."""


def quoted(text: str, *, interpolations: bool = False) -> str:
    """A value for hydra's command-line grammar that composes to `text`; its `${...}` stay text unless asked for.

    >>> quoted("it's, 100 %")
    "'it\\\\'s, 100 %'"
    """
    if PLAIN.fullmatch(text):
        return text
    if not interpolations:
        text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    # A backslash counts only before a quote, that at the end included.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"


def parsed(word: str) -> Any:
    """hydra's reading of one override; None where it has none."""
    from antlr4.error.Errors import RecognitionException
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, RecognitionException, AssertionError):
        return None


def interpolates(text: str) -> bool:
    """Whether there are `${...}` in it that OmegaConf can read."""
    if "${" not in text:
        return False
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.is_interpolation(OmegaConf.create({"text": text}), "text")
    except OmegaConfBaseException:
        return False
