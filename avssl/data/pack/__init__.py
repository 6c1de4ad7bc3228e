"""Packs: a manifest's files at one small size and rate, quick to read. `mp4`, `shards` (WebDataset) or `memmap`."""
