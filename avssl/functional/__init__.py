"""Pure tensors to tensors: no state, no rank, no config, no I/O."""
