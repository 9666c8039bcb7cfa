"""Appends numbered records as the parts of a node do: ``python -m tests.chaos.writer OUTBOX READINGS EVENTS SECONDS``.

Every number is appended until the outbox has it; what has come so far is printed, a line a second.
"""

import sys
import time
from pathlib import Path
from typing import Final

from contract.records import Record
from edge.delivery.outbox import Outbox
from tests.chaos.records import event, reading

_STEP_S: Final = 0.05
_PLENTY: Final = 4_000_000_000


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def main(path: Path, readings: int, events: int, seconds: float) -> None:
    """Write all of it, evenly over that time."""
    outbox = Outbox(path, _PLENTY, now)
    began = time.monotonic()
    told = 0.0
    done = {"reading": 0, "event": 0}
    while done["reading"] < readings or done["event"] < events:
        share = min((time.monotonic() - began) / seconds, 1.0)
        upto = {"reading": round(share * readings), "event": round(share * events)}
        stamp = now()
        records: list[Record] = [reading(number, stamp) for number in range(done["reading"], upto["reading"])]
        records += [event(number, stamp) for number in range(done["event"], upto["event"])]
        outbox.append(records)
        done = upto
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            print(sum(done.values()), flush=True)
        time.sleep(_STEP_S)
    outbox.close()
    print(readings + events, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
