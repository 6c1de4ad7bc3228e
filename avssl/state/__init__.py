"""Modules with buffers and nothing learned."""
