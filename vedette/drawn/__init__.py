"""Drawn scenes: a street or a room, people who walk past, and, if wanted, a fire. For showing without a camera.

Every picture carries the word DRAWN. All of it follows from a seed.
"""
