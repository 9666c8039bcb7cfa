"""Streaming maths: windows over samples, each in bounded memory and bounded work a sample.

Times are microseconds since 1970-01-01 UTC, spans microseconds. Nothing here reads a clock: every question carries
the time at which it is asked.
"""
