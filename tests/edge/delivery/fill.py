"""Fills a disk that is really full: ``python -m tests.edge.delivery.fill FOLDER READINGS ALARMS``.

``FOLDER`` is a small file system of its own. Appends readings, and an alarm after each hundred; then another file takes
all the room that is left, the node starts again, and alarms go on. Prints what was appended and what is there.
"""

import contextlib
import json
import sys
from pathlib import Path

from contract.records import Lane, Reading, Summary
from tests.edge.delivery.samples import START, drain, event, make, reading


def main(folder: Path, readings: int, late_alarms: int) -> None:
    outbox = make(folder)
    for start in range(0, readings, 100):
        outbox.append([reading(n, time=START + n * 100_000) for n in range(start, start + 100)])
        outbox.append([event(f"e{start}")])
    outbox.close()
    take_the_rest(folder / "others")
    outbox = make(folder)
    for number in range(late_alarms):
        outbox.append([event(f"late{number}")])
    (folder / "others").unlink()
    found = drain(outbox, Lane.LIVE)
    stand_for = sum(r.count if isinstance(r, Summary) else isinstance(r, Reading) for r in found)
    alarms = len(drain(outbox, Lane.ALARM))
    outbox.close()
    print(json.dumps({"stand_for": stand_for, "records": len(found), "alarms": alarms}))


def take_the_rest(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
