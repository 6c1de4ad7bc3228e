"""Embeddings and what they are worth."""
