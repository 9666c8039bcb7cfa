"""Durations as people write and read them: ``90s``, ``1h30m``, ``1 min 30 s``. All values are microseconds."""

import re
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_UNITS: Final = {"ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_PART: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
_WORDS: Final = {
    "en": ((DAY, " d"), (HOUR, " h"), (MINUTE, " min"), (SECOND, " s")),
    "zh": ((DAY, "天"), (HOUR, "小时"), (MINUTE, "分钟"), (SECOND, "秒")),
}


def parse_duration(text: object) -> int:
    """``"1h30m"`` as microseconds.

    Raises:
        ValueError: it is not whole numbers with units out of ms, s, m, h and d.
    """
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write a number with its unit, such as 30s, 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def show_duration(micros: int, language: str) -> str:
    """The two largest units of a duration in ``en`` or ``zh``: ``4 min 30 s``, ``4分钟30秒``."""
    left = max(0, round(micros / SECOND)) * SECOND
    shown: list[str] = []
    for unit, word in _WORDS[language]:
        number, left = divmod(left, unit)
        if number:
            shown.append(f"{number}{word}")
        elif shown:
            break
    gap = " " if language == "en" else ""
    return gap.join(shown[:2]) if shown else f"0{_WORDS[language][-1][1]}"
