"""Common Alerting Protocol 1.2 (OASIS Standard, 1 July 2010): one XML message about a warning. Pure.

Section numbers in the comments are those of the standard.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from xml.etree import ElementTree

from cloud.warnings.warning import Warned

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"


class MessageType(StrEnum):
    """Which message of a chain it is. ``END`` goes out as an update that says all clear; ``CANCEL`` takes back what
    should not have been sent."""

    ALERT = "Alert"
    UPDATE = "Update"
    END = "End"
    CANCEL = "Cancel"


@dataclass(frozen=True)
class Authority:
    """Who sends, and under which status. One installation serves one authority.

    Args:
        sender: globally unique, such as a mail address of the authority's domain; no spaces, commas, ``<`` or ``&``.
        status: ``Actual``, ``Exercise``, ``System``, ``Test`` or ``Draft`` (3.2.1).
        scope: ``Public``, ``Restricted`` or ``Private``.
        restriction: for whom a restricted message is meant; the standard asks for it under that scope.
        name: the authority's name as people know it.
        valid_s: seconds a message is valid for after it was sent.
    """

    sender: str
    status: str
    scope: str
    restriction: str
    name: str
    valid_s: int

    def __post_init__(self) -> None:
        if not self.sender or _FORBIDDEN.search(self.sender):
            raise ValueError(f"CAP sender {self.sender!r} is empty or holds a space, ',', '<' or '&'; name another")
        if self.status not in _STATUS:
            raise ValueError(f"CAP status {self.status!r} is unknown; use one of {', '.join(_STATUS)}")
        if self.scope not in _SCOPE:
            raise ValueError(f"CAP scope {self.scope!r} is unknown; use one of {', '.join(_SCOPE)}")
        if self.valid_s <= 0:
            raise ValueError(f"CAP messages would be valid for {self.valid_s} s; give more than 0")


@dataclass(frozen=True)
class Message:
    """A CAP message as it went out. ``reference`` is how the next one in the chain names it."""

    type: MessageType
    reference: str
    xml: str


def compose(
    warned: Warned, kind: MessageType, authority: Authority, sent: int, earlier: tuple[str, ...] = (), reason: str = ""
) -> Message:
    """The message about ``warned`` as it stands.

    Args:
        warned: the warning; its revision makes the identifier, so that no two messages share one.
        kind: which message of the chain.
        authority: who sends.
        sent: microseconds since 1970 UTC.
        earlier: ``Message.reference`` of every message sent before about the same warning.
        reason: an officer's word on why it was ended or cancelled.
    """
    identifier = f"vedette-{warned.id}-{warned.revision}"
    alert = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add(alert, "identifier", identifier)
    _add(alert, "sender", authority.sender)
    _add(alert, "sent", _time(sent))
    _add(alert, "status", authority.status)
    _add(alert, "msgType", MessageType.UPDATE if kind is MessageType.END else kind)
    _add(alert, "scope", authority.scope)
    if authority.scope == "Restricted":
        _add(alert, "restriction", authority.restriction)
    if reason:
        _add(alert, "note", reason)
    if earlier and kind is not MessageType.ALERT:
        _add(alert, "references", " ".join(earlier))
    for language in ("en-US", "zh-CN"):
        _add_info(alert, warned, kind, authority, sent, language)
    xml = ElementTree.tostring(alert, encoding="unicode", xml_declaration=False)
    reference = f"{authority.sender},{identifier},{_time(sent)}"
    return Message(kind, reference, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}\n')


def _add_info(
    alert: ElementTree.Element, warned: Warned, kind: MessageType, authority: Authority, sent: int, language: str
) -> None:
    chinese = language.startswith("zh")
    ended = kind in (MessageType.END, MessageType.CANCEL)
    title, text, playbook = (
        (words.zh or words.en) if chinese else words.en for words in (warned.title, warned.text, warned.playbook)
    )
    info = ElementTree.SubElement(alert, "info")
    _add(info, "language", language)
    for category in _several(warned, "category", _CATEGORY, _CATEGORY_OF_KIND.get(warned.kind, "Safety")):
        _add(info, "category", category)
    _add(info, "event", warned.cap.get("event") or title)
    for response in ["AllClear"] if ended else _several(warned, "response", _RESPONSE, "Assess"):
        _add(info, "responseType", response)
    _add(info, "urgency", "Past" if ended else _known(warned.cap.get("urgency", "Immediate"), _URGENCY))
    _add(info, "severity", warned.severity)
    _add(info, "certainty", _known(warned.cap.get("certainty", "Observed"), _CERTAINTY))
    _add(info, "effective", _time(sent))
    _add(info, "onset", _time(warned.episode))
    _add(info, "expires", _time(sent + authority.valid_s * 1_000_000))
    _add(info, "senderName", authority.name)
    _add(info, "headline", title)
    if text:
        _add(info, "description", text)
    if playbook and not ended:
        _add(info, "instruction", playbook)
    for name, value in (("rule", f"{warned.rule} {warned.rule_version}"), ("condition", warned.condition)):
        if value:
            parameter = ElementTree.SubElement(info, "parameter")
            _add(parameter, "valueName", name)
            _add(parameter, "value", value)
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", ", ".join(warned.sources) or warned.key or "—")


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    # XML 1.0, section 2.2: these characters cannot stand in a document, escaped or not.
    ElementTree.SubElement(parent, name).text = _NOT_XML.sub("�", str(text))


def _several(warned: Warned, field: str, known: tuple[str, ...], otherwise: str) -> list[str]:
    named = [word for word in re.split(r"[\s,]+", warned.cap.get(field, "")) if word in known]
    return named or [otherwise]


def _known(value: str, known: tuple[str, ...]) -> str:
    return value if value in known else "Unknown"


def _time(micros: int) -> str:
    # 3.3.2: whole seconds, and the offset written out, never "Z".
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


_FORBIDDEN: Final = re.compile(r"[\s,<&]")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STATUS: Final = ("Actual", "Exercise", "System", "Test", "Draft")
_SCOPE: Final = ("Public", "Restricted", "Private")
_URGENCY: Final = ("Immediate", "Expected", "Future", "Past", "Unknown")
_CERTAINTY: Final = ("Observed", "Likely", "Possible", "Unlikely", "Unknown")
_RESPONSE: Final = ("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None")
_CATEGORY: Final = (
    "Geo",
    "Met",
    "Safety",
    "Security",
    "Rescue",
    "Fire",
    "Health",
    "Env",
    "Transport",
    "Infra",
    "CBRNE",
    "Other",
)
_CATEGORY_OF_KIND: Final = {
    "fire": "Fire",
    "smoke": "Fire",
    "gas": "CBRNE",
    "crowd": "Safety",
    "tamper": "Security",
    "blind": "Infra",
}
