"""The commands: the only importers of hydra."""
