"""When to send again: the retransmission timer of RFC 6298, and how much may be under way before it delays alarms."""

from typing import Final

from contract.wire import MAX_WIRE

FIRST_RTO_S: Final = 1.0
"""Before anything has been measured (RFC 6298, 2.1)."""
MIN_RTO_S: Final = 0.25
"""The RFC asks for a second, against spurious repeats of a whole internet; a repeated batch costs one node little, and
an alarm that a broker dropped should not wait."""
MAX_RTO_S: Final = 4.0
"""While the cloud is away, each lane tries one batch this often."""
_GRANULARITY_S: Final = 0.01
_ALPHA: Final = 1 / 8
_BETA: Final = 1 / 4
_K: Final = 4


class RetransmitTimer:
    """The time to wait for an acknowledgement, from the times it took (RFC 6298). Measure only what was sent once
    (Karn's algorithm): an answer to something sent twice does not say to which sending."""

    def __init__(self) -> None:
        self.srtt: float | None = None
        self._rttvar = 0.0
        self.rto = FIRST_RTO_S

    def sample(self, rtt: float) -> None:
        """An acknowledgement came ``rtt`` seconds after the only sending."""
        if self.srtt is None:
            self.srtt = rtt
            self._rttvar = rtt / 2
        else:
            self._rttvar = (1 - _BETA) * self._rttvar + _BETA * abs(self.srtt - rtt)
            self.srtt = (1 - _ALPHA) * self.srtt + _ALPHA * rtt
        self.rto = min(max(self.srtt + max(_GRANULARITY_S, _K * self._rttvar), MIN_RTO_S), MAX_RTO_S)

    def back_off(self) -> None:
        """None came in time: wait twice as long for the next."""
        self.rto = min(self.rto * 2, MAX_RTO_S)


class DelayLimit:
    """Bytes that bulk may have under way. What fills the buffers of a slow link delays the alarms behind it, so the
    limit grows while acknowledgements come quickly and is halved when they do not (the idea of LEDBAT, RFC 6817)."""

    TARGET_S: Final = 0.5
    LEAST: Final = 8 * 1024
    MOST: Final = 8 * MAX_WIRE

    def __init__(self) -> None:
        self.bytes = 4 * self.LEAST
        self._halved = float("-inf")

    def sample(self, rtt: float, size: int, now: float) -> None:
        """``size`` bytes were acknowledged after ``rtt`` seconds."""
        if rtt <= self.TARGET_S:
            self.bytes = min(self.bytes + size, self.MOST)
        elif now - self._halved > rtt:  # once for all that was under way together
            self.bytes = max(self.bytes // 2, self.LEAST)
            self._halved = now

    def collapse(self) -> None:
        """Nothing came back at all."""
        self.bytes = self.LEAST
