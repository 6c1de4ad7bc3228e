"""Decoders: frames and samples at given times, in seconds."""
