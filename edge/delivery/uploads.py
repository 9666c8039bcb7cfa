"""Which evidence the cloud does not have yet. The queue lies in the outbox: it survives what the records survive."""

from dataclasses import dataclass
from sqlite3 import Connection

from edge.delivery.outbox import Outbox
from edge.delivery.thinning import count


@dataclass(frozen=True)
class Pending:
    """A file to upload, and how often the cloud has refused it."""

    sha256: str
    bytes: int
    refused: int


class UploadQueue:
    """Files named by ``Evidence`` records that were appended and not yet confirmed.

    Args:
        outbox: keeps the queue; its ``append`` fills it.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def pending(self, limit: int = 100) -> list[Pending]:
        """What to upload, the newest evidence first: it shows what is happening now."""
        rows: list[tuple[str, int, int]] = []

        def read(connection: Connection) -> None:
            rows[:] = connection.execute(
                "SELECT sha256, bytes, refused FROM upload ORDER BY time DESC LIMIT ?", (limit,)
            ).fetchall()

        self._outbox.transact(read)
        return [Pending(*row) for row in rows]

    def confirmed(self, sha256: str) -> None:
        """The cloud has it."""
        self._end(sha256, None)

    def vanished(self, sha256: str) -> None:
        """The file is gone from the node; nothing can be done any more but count it."""
        self._end(sha256, "uploads_vanished")

    def dropped(self, sha256: str) -> None:
        """The cloud has refused it too often."""
        self._end(sha256, "uploads_refused")

    def refused(self, sha256: str) -> None:
        """The cloud refused it once more."""
        self._outbox.transact(
            lambda c: c.execute("UPDATE upload SET refused = refused + 1 WHERE sha256 = ?", (sha256,))
        )

    def _end(self, sha256: str, counter: str | None) -> None:
        def work(connection: Connection) -> None:
            gone = connection.execute("DELETE FROM upload WHERE sha256 = ?", (sha256,)).rowcount
            if gone and counter:
                count(connection, counter)

        self._outbox.transact(work)
