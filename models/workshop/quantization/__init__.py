"""INT8: ranges, settings, and the study that chooses them."""
