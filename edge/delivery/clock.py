"""How far the box's clock is off from the cloud's, by the exchanges there are anyway.

Each answer carries the cloud's time. It was written between our question and the answer's coming, so that the middle of
both is wrong by half the time between them at most (F. Cristian, "Probabilistic clock synchronization", Distributed
Computing 3, 1989); of the last eight exchanges the quickest counts (the clock filter of NTP, RFC 5905 section 10). The
cloud's time is held against the monotonic clock: when somebody sets the box's clock, the estimate follows at once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from contract.ids import UNTOLD, Micros

LIMIT_US: Final = 5_000_000
"""A clock that is further off is wrong: the cloud takes no time that lies further ahead (``docs/delivery.md``)."""
_RIGHT_US: Final = LIMIT_US // 2
"""It is right again when it is nearer than this."""
_KEPT: Final = 8
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Exchange:
    """The cloud's time less our monotonic time, microseconds, and how far that may be wrong."""

    offset: int
    error: int


class CloudClock:
    """The cloud's clock as it shows from here.

    Args:
        clock: the box's wall clock, microseconds.
    """

    def __init__(self, clock: Callable[[], Micros]) -> None:
        self._clock = clock
        self._exchanges: deque[_Exchange] = deque(maxlen=_KEPT)
        self.off = False
        """Whether the box's clock counts as wrong."""

    def forget(self) -> None:
        """A new connection begins, perhaps after the machine has slept."""
        self._exchanges.clear()

    def heard(self, asked: float, now: float, time: Micros) -> None:
        """The cloud wrote ``time`` between ``asked`` and ``now``, both monotonic seconds."""
        if time < UNTOLD:
            return
        way = max(round((now - asked) * 1e6), 0)
        self._exchanges.append(_Exchange(time + way // 2 - round(now * 1e6), way // 2))
        self._judge(now)

    def ahead(self, now: float) -> int | None:
        """How far the box's clock is ahead of the cloud's, microseconds, below 0 where it is behind; None where nothing
        was heard yet."""
        best = self._best()
        return None if best is None else self._clock() - round(now * 1e6) - best.offset

    def claim(self, now: float, stepped: int) -> int | None:
        """What to tell the cloud of the clock that stamped some records, as in ``Batch.ahead``: that clock was set
        forward by ``stepped`` microseconds since."""
        ahead = self.ahead(now)
        if ahead is None:
            return None
        self._judge(now)
        then = ahead - stepped
        return then if abs(then) > LIMIT_US or (self.off and not stepped) else 0

    def told(self, now: float) -> str:
        """What is wrong with the clock, in words; empty while it is right."""
        ahead = self.ahead(now)
        if not self.off or ahead is None:
            return ""
        way = "ahead of" if ahead > 0 else "behind"
        return (
            f"the clock is {abs(ahead) / 1e6:.1f} s {way} the cloud's; set it and keep it set: timedatectl set-ntp true"
        )

    def _best(self) -> _Exchange | None:
        return min(reversed(self._exchanges), key=lambda one: one.error, default=None)

    def _judge(self, now: float) -> None:
        ahead, best = self.ahead(now), self._best()
        assert ahead is not None
        assert best is not None
        if not self.off and abs(ahead) - best.error > LIMIT_US:
            self.off = True
            _log.warning("clock.off", ahead_s=ahead / 1e6, reason=self.told(now))
        elif self.off and abs(ahead) < _RIGHT_US:
            self.off = False
            _log.info("clock.right", ahead_s=ahead / 1e6)
