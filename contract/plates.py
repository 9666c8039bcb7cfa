"""What number plates carry: characters that readers, grammars and records share."""

from typing import Final

DIGITS: Final = "0123456789"
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROVINCES: Final = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
KINDS: Final = "警学挂使领港澳"
"""Police, learner, trailer, embassy, consulate, Hong Kong, Macau."""
CHARACTERS: Final = frozenset(DIGITS + LETTERS + PROVINCES + KINDS)
