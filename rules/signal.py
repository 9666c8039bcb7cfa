"""What a rule says: raise, change, clear."""

from enum import StrEnum

import msgspec

from contract.ids import digest


class Action(StrEnum):
    """Whether a signal begins, goes on with or ends an episode."""

    RAISE = "raise"
    CHANGE = "change"
    CLEAR = "clear"


class Severity(StrEnum):
    """The five severities of CAP 1.2 (OASIS, section 3.2.2, ``severity``)."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Text(msgspec.Struct, frozen=True):
    """The same in the two languages of the emergency centre."""

    en: str
    zh: str = ""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One word of one rule about one thing (its key), with all it takes to explain it."""

    rule: str
    rule_version: str
    """First 12 digits of the SHA-256 of the rule's text: which wording of the rule spoke."""
    key: str
    """What the rule speaks of: ``site/node/source`` or a prefix of it."""
    episode: int
    """Start of the episode, in microseconds: the time of the first entry that met the condition."""
    action: Action
    time: int
    kind: str
    """Kind of warning: ``fire``, ``gas``, ``crowd``, ``blind``, …"""
    severity: Severity
    title: Text
    text: Text = Text("")
    playbook: Text = Text("")
    cap: dict[str, str] = {}
    """Fields of CAP's ``info`` that the rule sets: ``category``, ``urgency``, ``certainty``, ``event``."""
    condition: str = ""
    """The CEL expression that decided."""
    values: dict[str, float | int | str | bool | None] = {}
    """What each name in the condition was at that moment."""
    sources: tuple[str, ...] = ()
    """``site/node/source`` of everything that took part."""
    events: tuple[str, ...] = ()
    """Ids of the events that took part."""

    @property
    def warning(self) -> str:
        """Identity of the warning: the same on the box, in the cloud and in a replay."""
        return digest(self.rule, self.key, str(self.episode))
