"""The checks of `avssl.errors`, under their old name."""

from avssl.errors import check, check_choice

__all__ = ["check", "check_choice"]
