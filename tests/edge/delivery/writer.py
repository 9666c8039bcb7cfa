"""A process that appends in a loop: ``python -m tests.edge.delivery.writer OUTBOX NAME [COUNT]``.

After each append has returned it prints its number and, for the power cut, the frames and the salt of SQLite's
write-ahead log at that moment: the header of the ``-shm`` file, as sqlite.org/walformat.html draws it.
"""

import struct
import sys
import time
from pathlib import Path

from edge.delivery.outbox import Outbox
from tests.edge.delivery.samples import event, reading


def main(path: Path, name: str, most: int) -> None:
    outbox = Outbox(path, 1_000_000_000, lambda: time.time_ns() // 1000)
    for number in range(most):
        outbox.append([reading(number, source=name), reading(number, source=name), event(f"{name}-{number}")])
        frames, salt = log_header(path)
        print(number, frames, salt, flush=True)


def log_header(path: Path) -> tuple[int, str]:
    with path.with_name(path.name + "-shm").open("rb") as file:
        header = file.read(48)
    return struct.unpack_from("=I", header, 16)[0], header[32:40].hex()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1 << 30)
