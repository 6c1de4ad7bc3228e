"""One sentence for every wrong value."""

from avssl.errors import check, check_choice

__all__ = ["check", "check_choice"]
