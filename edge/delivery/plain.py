"""Events as plain JSON, for Home Assistant, Node-RED or a SCADA on the same broker.

Each revision of an event is published on ``vedette/v1/events/{site}/{node}/{kind}`` when it is appended, with QoS 0 and
not retained: once as a rule, again where the node stopped in between, and not at all where the broker was away for more
than half a minute, unless the event is still open. Whoever must not miss one asks the cloud.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from contract.records import Event
from contract.topics import Address
from contract.wire import WireError, decode_record
from edge.delivery.outbox import Outbox


class PlainEvents:
    """Publishes what is new among the alarms.

    Args:
        outbox: where the events lie. Call ``turn`` before their records are numbered.
        address: whose events these are.
        publish: takes a topic and a payload; False where there is no connection.
    """

    def __init__(self, outbox: Outbox, address: Address, publish: Callable[[str, bytes], bool]) -> None:
        self._outbox = outbox
        self._address = address
        self._publish = publish
        self._saved = self._published = outbox.plain_mark()

    def turn(self) -> None:
        """Publish what was appended since."""
        for row, body in self._outbox.fresh_alarms(self._published):
            try:
                record = decode_record(body)
            except WireError:
                record = None
            if isinstance(record, Event) and not self._publish(*self._message(record)):
                return
            self._published = row

    def save(self) -> None:
        """Write down how far it went; after the alarms have been sent, for it costs an fsync."""
        if self._published != self._saved:
            self._saved = self._published
            self._outbox.set_plain_mark(self._saved)

    def _message(self, event: Event) -> tuple[str, bytes]:
        return self._address.events(event.kind), plain_json(event, self._address)


def plain_json(event: Event, address: Address) -> bytes:
    """The event's fields, with times in ISO 8601 beside the microseconds, and where it happened."""
    fields = msgspec.to_builtins(event)
    del fields["type"]
    fields |= {"site": address.site, "node": address.node}
    for name in ("time", "started"):
        fields[f"{name}_iso"] = datetime.fromtimestamp(fields[name] / 1e6, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(fields)
