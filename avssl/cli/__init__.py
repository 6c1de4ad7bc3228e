"""The commands: the only importers of hydra."""

import os
import sys

# `python -m avssl.cli.train` puts the working folder before all others, where a file of the user's could stand for any
# module; it is no source of code unless a module in it is named (own_code.py), or avssl itself lies there.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
if getattr(sys, "argv", [])[:1] == ["-m"] and sys.path[:1] in ([""], [os.getcwd()]) and os.getcwd() != _HOME:  # noqa: PTH109
    del sys.path[0]
