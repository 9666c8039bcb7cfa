"""The rules in force, as the journal holds them: the texts of the packs, so that an old journal can be replayed."""

from collections.abc import Mapping
from importlib.resources import files

import msgspec
import structlog

from rules.document import RuleError
from rules.language import RuleSet, load_rules

_log = structlog.get_logger("cloud.ingest")

Texts = Mapping[str, str]
"""The text of each pack by its file name."""


def shipped_texts() -> Texts:
    """The packs of this release."""
    packs = sorted(
        (pack for pack in files("rules.packs").iterdir() if pack.name.endswith(".yaml")), key=lambda p: p.name
    )
    return {pack.name: pack.read_text(encoding="utf-8") for pack in packs}


def encode_texts(texts: Texts) -> bytes:
    """As a journal entry's body; the same texts give the same bytes."""
    return msgspec.msgpack.encode(dict(texts), order="sorted")


class Compiler:
    """Compiles rule texts, each set once.

    Args:
        current: what stands in for texts that this release does not understand any more: episodes then go on under the
            present wording instead of ending.
    """

    def __init__(self, current: Texts) -> None:
        self._current = current
        self._known: dict[bytes, RuleSet] = {b"": RuleSet()}

    def compile(self, body: bytes) -> RuleSet:
        """The rules of a journal entry; none for an empty body."""
        if body not in self._known:
            try:
                rules = _load(msgspec.msgpack.decode(body, type=dict[str, str]))
            except (RuleError, msgspec.DecodeError) as error:
                _log.error("rules of the journal not understood", reason=str(error))
                rules = _load(self._current)
            self._known[body] = rules
        return self._known[body]


def _load(texts: Texts) -> RuleSet:
    rules = RuleSet()
    for name, text in texts.items():
        rules += load_rules(text, name)
    return rules
