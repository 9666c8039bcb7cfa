"""What the cloud itself has noticed, on its way into the journal: the rules hear of it with the next tick."""

from collections import deque
from typing import Final

import msgspec
import structlog

from cloud.ingest.nodes import Nodes
from contract.topics import Address
from rules.entry import Notice, NoticeKind

_REMEMBERED: Final = 8
_RETURNS: Final = 2
"""So often an outbox must have come back after another one of the same name: once is a card restored from a backup."""
_log = structlog.get_logger("cloud.ingest")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[Notice, ...]] = msgspec.msgpack.Decoder(tuple[Notice, ...])


def encode_notices(notices: tuple[Notice, ...]) -> bytes:
    """As a tick's body in the journal; nothing for none."""
    return _encoder.encode(notices) if notices else b""


def decode_notices(body: bytes) -> tuple[Notice, ...]:
    """And back."""
    return _decoder.decode(body) if body else ()


class Notices:
    """Gathers them for one session.

    Args:
        nodes: who is enrolled, and who of them has not been heard of.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._told: dict[int, set[tuple[str, str]]] = {}
        self._epochs: dict[tuple[str, str], deque[int]] = {}
        self._twice: dict[int, list[Notice]] = {}

    def greeted(self, address: Address, epoch: int) -> None:
        """A box introduces itself. Epochs that take turns are two outboxes, and so two boxes."""
        name = address.site, address.node
        epochs = self._epochs.setdefault(name, deque(maxlen=_REMEMBERED))
        if epochs and epochs[-1] == epoch:
            return
        epochs.append(epoch)
        if len(epochs) - len(set(epochs)) >= _RETURNS:
            _log.warning(
                "node.twice",
                node=f"{address.site}/{address.node}",
                reason="two boxes speak in its name; enrol the one from a copied card under a name of its own",
            )
            self._twice.setdefault(address.partition, []).append(Notice(NoticeKind.TWICE, *name))

    def due(self, partition: int, *, deaf: bool) -> tuple[Notice, ...]:
        """What the next tick of a partition says; each thing once. While we are deaf that is said with every tick."""
        silent = self._nodes.silent(partition)
        new = sorted(silent - self._told.get(partition, set()))
        self._told[partition] = silent
        return (
            *((Notice(NoticeKind.DEAF),) if deaf else ()),
            *(Notice(NoticeKind.SILENT, *name) for name in new),
            *self._twice.pop(partition, ()),
        )
