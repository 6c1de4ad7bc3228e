"""FAISS behind one small interface."""

from avssl.neighbors.index import InnerProductIndex
from avssl.neighbors.mining import Positives, mine_positives

__all__ = ["InnerProductIndex", "Positives", "mine_positives"]
