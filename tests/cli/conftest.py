from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Call a command's entry point with its arguments, as the console script does."""

    def call(name: str, *arguments: object) -> Done:
        module = importlib.import_module(f"avssl.cli.{name}")
        monkeypatch.setattr(sys, "argv", [f"avssl-{name}", *map(str, arguments)])
        status = 0
        try:
            module.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return call
