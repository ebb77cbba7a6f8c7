"""Events to bytes, in each encoding; no I/O."""
