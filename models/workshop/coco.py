"""COCO's classes, where they stand for labels of ours (Lin et al., "Microsoft COCO", arXiv:1405.0312)."""

from typing import Final

CLASSES: Final = 80
COCO: Final = {"person": (0,), "vehicle": (2, 3, 5, 7)}
"""The places of a label's classes among the 80, the commonest first (car, motorcycle, bus, truck)."""
NUMBERS: Final = {"person": (1,), "vehicle": (3, 4, 6, 8)}
"""The same as COCO numbers them, with gaps, from 1."""
