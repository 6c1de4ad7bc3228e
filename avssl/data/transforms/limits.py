"""One line for every wrong setting of a transform."""

from __future__ import annotations

from typing import Any

from avssl.functional.checks import check


def check_between(name: str, value: Any, low: float | int, high: float | int | None = None) -> None:
    """Raise UserError unless value is a number from low to high, or from low on."""
    allowed = f"{low:g} and more" if high is None else f"{low:g} to {high:g}"
    check(name, value, _between(value, low, high), allowed)


def check_range(name: str, value: Any, low: float | int, high: float | int | None = None) -> None:
    """Raise UserError unless value is two numbers, the smaller one first, from low to high, or from low on."""
    ok = isinstance(value, list | tuple) and len(value) == 2 and all(_between(part, low, high) for part in value)
    allowed = f"two numbers, the smaller one first, from {low:g} {'on' if high is None else f'to {high:g}'}"
    check(name, value, ok and value[0] <= value[1], allowed)


def check_crop(size: Any, area: Any, ratio: Any) -> None:
    """Raise UserError for settings of a random crop that are not allowed."""
    check("size", size, isinstance(size, int) and size >= 1, "whole numbers of pixels from 1")
    check_range("area", area, 0.001, 1)
    check_range("ratio", ratio, 0.01, 100)


def check_colours(jitter: Any) -> None:
    """Raise UserError unless these are strengths of brightness, contrast, saturation and hue."""
    four = isinstance(jitter, list | tuple) and len(jitter) == 4
    ok = four and all(_between(value, 0, None) for value in jitter) and jitter[3] <= 0.5
    check("jitter", jitter, ok, "four numbers from 0: brightness, contrast, saturation, and hue up to 0.5")


def _between(value: Any, low: float | int, high: float | int | None) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and low <= value and (high is None or value <= high)
