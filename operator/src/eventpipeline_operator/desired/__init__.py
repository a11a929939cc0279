"""Pure: spec → runtime-neutral records of what should be."""
