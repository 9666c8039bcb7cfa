"""Benchmarks: each measures ours beside a reference in the same run. ``vedette bench NAME``."""
